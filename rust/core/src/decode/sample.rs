//! Small packets for the tests of the decoders, header by header.

use super::packet::{Outcome, Packet};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const CLIENT: [u8; 4] = [10, 0, 0, 1];
pub(super) const SERVER: [u8; 4] = [10, 0, 0, 2];

pub(super) fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &kind.to_be_bytes(), payload].concat()
}

pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len() as u16).to_be_bytes();
    let start = [0x45, 0, total[0], total[1], 0, 7, 0, 0, 64, protocol, 0, 0];
    [&start[..], &CLIENT, &SERVER, payload].concat()
}

pub(super) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let mut header = vec![0x60, 0, 0, 0, length[0], length[1], next, 63];
    header.extend_from_slice(&[0x20; 16]);
    header.extend_from_slice(&[0x30; 16]);
    [&header[..], payload].concat()
}

/// From port 1000 to 80; `options` must fill words of 4 bytes.
pub(super) fn tcp(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = (20 + options.len() as u8) / 4;
    let header = [3, 232, 0, 80, 0, 0, 0, 5, 0, 0, 0, 6, words << 4, 0x18, 1, 0, 0xab, 0xcd, 0, 0];
    [&header[..], options, payload].concat()
}

pub(super) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let (port, length) = (port.to_be_bytes(), (8 + payload.len() as u16).to_be_bytes());
    [&[3, 232, port[0], port[1], length[0], length[1], 0, 0][..], payload].concat()
}

/// A TCP segment with five bytes of payload in IPv4.
pub(super) fn segment() -> Vec<u8> {
    ipv4(TCP, &tcp(&[], b"hello"))
}

pub(super) fn decode(link_type: u16, frame: &[u8]) -> (Outcome, Packet) {
    let mut packet = Packet::default();
    (super::decode(link_type, frame, frame.len() as u32, &mut packet), packet)
}

/// Decodes an Ethernet frame and expects the segment of [`segment`] in it.
pub(super) fn expect_segment(link_type: u16, frame: &[u8]) -> Packet {
    let (outcome, packet) = decode(link_type, frame);
    assert_eq!(outcome, Outcome::Transport, "{frame:02x?}");
    assert_eq!((packet.src_port, packet.dst_port, packet.seq, packet.ack), (1000, 80, 5, 6));
    assert_eq!((packet.payload_length, packet.payload_captured), (5, 5));
    assert_eq!(frame.get(packet.payload_offset as usize..).and_then(|rest| rest.get(..5)), Some(&b"hello"[..]));
    packet
}
