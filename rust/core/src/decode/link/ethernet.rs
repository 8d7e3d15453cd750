//! Ethernet II and IEEE 802.3.

use super::super::layer::Layer;
use super::super::net;
use super::super::packet::{Outcome, Packet};
use super::{ethertype, llc};

pub(in super::super) const HEADER: usize = 14;

/// EtherTypes start here; smaller numbers are the length of an 802.3 frame (IEEE 802.3, 3.2.6).
const SMALLEST_TYPE: u16 = 0x0600;
const LARGEST_LENGTH: u16 = 1500;

#[inline]
pub(in super::super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let (Some(&[.., high, low]), Some(rest)) = (layer.head::<HEADER>(), layer.skip(HEADER)) else {
        return layer.bad("ethernet-header-cut", "ethernet", HEADER);
    };
    match u16::from_be_bytes([high, low]) {
        ethertype::IPV4 => net::ipv4::decode(rest, packet),
        kind @ SMALLEST_TYPE.. => ethertype(kind, rest, packet),
        length @ ..=LARGEST_LENGTH => llc::decode(rest.limit(u32::from(length)), packet),
        _ => Outcome::NotIp(0),
    }
}

/// Whether the bytes could be an Ethernet frame that carries something known.
pub(in super::super) fn plausible(layer: &Layer) -> bool {
    let Some(&[.., high, low]) = layer.head::<HEADER>() else {
        return false;
    };
    matches!(
        u16::from_be_bytes([high, low]),
        ethertype::IPV4 | ethertype::IPV6 | ethertype::ARP | ethertype::VLAN | ethertype::VLAN_AD | ethertype::MPLS
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::{NO_VLAN, Outcome};
    use super::super::super::sample::{self, decode, ethernet, expect_segment, segment};

    #[test]
    fn plain_ipv4_with_padding() {
        let mut frame = ethernet(0x0800, &segment());
        frame.extend_from_slice(&[0xee; 20]);
        let packet = expect_segment(1, &frame);
        assert_eq!((packet.vlan, packet.ttl, packet.ip_id), (NO_VLAN, 64, 7));
        assert_eq!(packet.src[12..], sample::CLIENT);
    }

    #[test]
    fn vlan_tags_stack_and_the_outermost_counts() {
        let inner = [&[0xe0, 100, 0x08, 0x00][..], &segment()].concat();
        assert_eq!(expect_segment(1, &ethernet(0x8100, &inner)).vlan, 100);
        let outer = [&[0, 200, 0x81, 0x00][..], &inner].concat();
        assert_eq!(expect_segment(1, &ethernet(0x88a8, &outer)).vlan, 200);
    }

    #[test]
    fn service_frames_and_vn_tags() {
        let backbone = [&[0, 0, 0, 9][..], &ethernet(0x0800, &segment())].concat();
        expect_segment(1, &ethernet(0x88e7, &backbone));
        expect_segment(1, &ethernet(0x8926, &[&[0, 0, 0, 9, 8, 0][..], &segment()].concat()));
    }

    #[test]
    fn snap_in_a_length_frame() {
        let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &segment()].concat();
        expect_segment(1, &ethernet(snap.len() as u16, &snap));
    }

    #[test]
    fn other_types_are_counted_by_number() {
        assert_eq!(decode(1, &ethernet(0x0806, &[0; 28])).0, Outcome::NotIp(0x0806));
        assert_eq!(decode(1, &ethernet(38, &[0x42, 0x42, 3])).0, Outcome::NotIp(0));
    }

    #[test]
    fn a_cut_header_is_bad() {
        let Outcome::Bad(bad) = decode(1, &[0; 13]).0 else { panic!("not bad") };
        assert_eq!((bad.kind, bad.offset, bad.needed, bad.had), ("ethernet-header-cut", 0, 14, 13));
        assert!(matches!(decode(1, &ethernet(0x8100, &[0, 1])).0, Outcome::Bad(_)));
    }

    #[test]
    fn a_frame_of_tags_ends() {
        let tags = [0, 1, 0x81, 0].repeat(400);
        assert!(matches!(decode(1, &ethernet(0x8100, &tags)).0, Outcome::Bad(_)));
    }
}
