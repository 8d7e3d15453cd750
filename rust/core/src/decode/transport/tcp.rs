//! TCP (RFC 9293).

use super::super::layer::Layer;
use super::super::packet::{CUT_LAYOUT, Outcome, Packet};
use super::tcp_option;

const SHORTEST_HEADER: usize = 20;
/// Ports to window: all that a flow needs. Wireshark wants as much before it opens a stream.
const ENOUGH: usize = 16;

#[inline]
pub(in super::super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let Some(&[s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, words, flags, w0, w1]) = layer.head() else {
        return layer.bad("tcp-header-cut", "tcp", ENOUGH);
    };
    let header = u32::from(words >> 4) * 4;
    if (header as usize) < SHORTEST_HEADER {
        return layer.bad("tcp-bad-offset", "tcp", header as usize);
    }
    packet.src_port = u16::from_be_bytes([s0, s1]);
    packet.dst_port = u16::from_be_bytes([d0, d1]);
    packet.seq = u32::from_be_bytes([q0, q1, q2, q3]);
    packet.ack = u32::from_be_bytes([a0, a1, a2, a3]);
    packet.flags = flags;
    packet.window = u16::from_be_bytes([w0, w1]);
    // A header that ends beyond the packet was cut by a tool that did not keep the length; its start is still good.
    packet.payload_length = layer.wire.saturating_sub(header);
    if let Some(&[c0, c1, _, _]) = layer.bytes.get(ENOUGH..).and_then(|rest| rest.first_chunk()) {
        packet.checksum = u16::from_be_bytes([c0, c1]);
        let end = layer.bytes.len().min(header as usize);
        if let Some(options @ [_, ..]) = layer.bytes.get(SHORTEST_HEADER..end) {
            packet.options = tcp_option::parse(options);
        }
        if end < header as usize {
            packet.options.layout = CUT_LAYOUT;
        }
    }
    let captured = layer.bytes.len() as u32;
    packet.payload_offset = layer.offset + header.min(captured);
    packet.payload_captured = captured.saturating_sub(header);
    Outcome::Transport
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::{CUT_LAYOUT, Outcome, Packet, flag};
    use super::super::super::sample::{TCP, decode, expect_segment, ipv4, segment, tcp};

    const RAW: u16 = 101;

    #[test]
    fn every_field() {
        let packet = expect_segment(RAW, &segment());
        assert_eq!((packet.flags, packet.window, packet.checksum), (flag::ACK | flag::PSH, 256, 0xabcd));
        assert_eq!(packet.options, Default::default());
        let options = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        let packet = expect_segment(RAW, &ipv4(TCP, &tcp(&options, b"hello")));
        assert_eq!(packet.options.timestamps, Some((1, 2)));
    }

    #[test]
    fn options_that_were_cut_have_no_layout() {
        let bytes = ipv4(TCP, &tcp(&[2, 4, 5, 180, 4, 2, 1, 1], b""));
        let layout = |length: usize| {
            let mut packet = Packet::default();
            let _ = super::super::super::decode(RAW, &bytes[..length], bytes.len() as u32, &mut packet);
            packet.options.layout
        };
        assert_eq!((layout(40), layout(46)), (CUT_LAYOUT, CUT_LAYOUT));
        assert_ne!(layout(48), CUT_LAYOUT);
    }

    #[test]
    fn a_snap_length_may_cut_the_header_behind_the_window() {
        let bytes = segment();
        let cut = |length: usize| {
            let mut packet = Packet::default();
            let outcome = super::super::super::decode(RAW, &bytes[..length], bytes.len() as u32, &mut packet);
            (outcome, packet.seq, packet.payload_length, packet.payload_captured)
        };
        assert_eq!(cut(36), (Outcome::Transport, 5, 5, 0));
        assert!(matches!(cut(35).0, Outcome::Bad(_)));
    }

    #[test]
    fn a_header_shorter_than_headers_are_is_bad() {
        let mut bytes = segment();
        bytes[32] = 0x40;
        let Outcome::Bad(bad) = decode(RAW, &bytes).0 else { panic!("not bad") };
        assert_eq!((bad.kind, bad.offset), ("tcp-bad-offset", 20));
    }

    #[test]
    fn a_header_beyond_the_packet_has_no_payload() {
        let mut bytes = segment();
        bytes[32] = 0xf0;
        let (outcome, packet) = decode(RAW, &bytes);
        assert_eq!((outcome, packet.payload_length, packet.payload_captured), (Outcome::Transport, 0, 0));
    }
}
