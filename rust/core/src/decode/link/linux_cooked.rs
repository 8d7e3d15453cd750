//! Linux cooked capture, what `tcpdump -i any` writes (LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2).

use super::super::layer::Layer;
use super::super::packet::{Outcome, Packet};
use super::{ethertype, llc};

const HEADER_V1: usize = 16;
const HEADER_V2: usize = 20;

/// Pseudo EtherType of Linux for 802.2 frames.
const LLC: u16 = 4;
/// With this ARPHRD_ number the protocol field is a netlink family.
const NETLINK: u16 = 824;

pub(super) fn decode_v1(layer: Layer, packet: &mut Packet) -> Outcome {
    let (Some(&[_, kind, h0, h1, .., p0, p1]), Some(rest)) = (layer.head::<HEADER_V1>(), layer.skip(HEADER_V1)) else {
        return layer.bad("linux-cooked-header-cut", "linux-cooked", HEADER_V1);
    };
    packet.packet_type = kind;
    protocol(u16::from_be_bytes([h0, h1]), u16::from_be_bytes([p0, p1]), rest, packet)
}

pub(super) fn decode_v2(layer: Layer, packet: &mut Packet) -> Outcome {
    let (Some(&[p0, p1, _, _, i0, i1, i2, i3, h0, h1, kind, ..]), Some(rest)) =
        (layer.head::<HEADER_V2>(), layer.skip(HEADER_V2))
    else {
        return layer.bad("linux-cooked-header-cut", "linux-cooked", HEADER_V2);
    };
    packet.packet_type = kind;
    packet.interface_index = u32::from_be_bytes([i0, i1, i2, i3]);
    protocol(u16::from_be_bytes([h0, h1]), u16::from_be_bytes([p0, p1]), rest, packet)
}

fn protocol(hardware: u16, protocol: u16, rest: Layer, packet: &mut Packet) -> Outcome {
    match (hardware, protocol) {
        (NETLINK, _) => Outcome::NotIp(0),
        (_, LLC) => llc::decode(rest, packet),
        (_, kind) => ethertype(kind, rest, packet),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::Outcome;
    use super::super::super::sample::{decode, expect_segment, segment};
    use super::NETLINK;

    fn v1(hardware: u16, protocol: u16) -> Vec<u8> {
        let (h, p) = (hardware.to_be_bytes(), protocol.to_be_bytes());
        [&[0, 4, h[0], h[1], 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, p[0], p[1]][..], &segment()].concat()
    }

    #[test]
    fn version_1_has_a_packet_type() {
        assert_eq!(expect_segment(113, &v1(1, 0x0800)).packet_type, 4);
    }

    #[test]
    fn version_2_has_an_interface_too() {
        let header = [8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 1, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        let packet = expect_segment(276, &[&header[..], &segment()].concat());
        assert_eq!((packet.packet_type, packet.interface_index), (1, 3));
    }

    #[test]
    fn netlink_is_no_network() {
        assert_eq!(decode(113, &v1(NETLINK, 0x0800)).0, Outcome::NotIp(0));
    }
}
