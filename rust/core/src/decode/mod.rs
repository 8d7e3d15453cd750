//! Frames to packets: one file per header.

mod layer;
mod link;
mod net;
pub mod packet;
#[cfg(test)]
mod sample;
mod transport;
mod tunnel;

use layer::Layer;
use packet::{Outcome, Packet};

/// Decodes one frame of a link type (`LINKTYPE_` number of pcap) into `packet`, as far as it goes.
///
/// `frame` may be shorter than the frame was on the wire. What an earlier call left in `packet`
/// is gone afterwards.
#[inline]
pub fn decode(link_type: u16, frame: &[u8], wire_length: u32, packet: &mut Packet) -> Outcome {
    *packet = Packet::default();
    link::decode(link_type, Layer::new(frame, wire_length), packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_unknown_link_type_is_said() {
        assert_eq!(sample::decode(147, &[0; 60]).0, Outcome::UnknownLink);
    }

    #[test]
    fn nothing_of_the_packet_before_stays() {
        let mut packet = Packet::default();
        let full = sample::ethernet(0x8100, &[&[0, 5, 8, 0][..], &sample::segment()].concat());
        decode(1, &full, full.len() as u32, &mut packet);
        decode(1, &sample::ethernet(0x0806, &[0; 28]), 42, &mut packet);
        assert_eq!(packet, Packet::default());
    }

    /// Headers that lead on to others, so that random bytes get beyond the first check.
    fn prefix() -> impl Strategy<Value = Vec<u8>> {
        let ip = |number: u8| sample::ipv4(number, &[]);
        prop::sample::select(vec![
            Vec::new(),
            sample::ethernet(0x0800, &ip(6)),
            sample::ethernet(0x0800, &ip(17)),
            sample::ethernet(0x0800, &ip(47)),
            sample::ethernet(0x0800, &ip(1)),
            sample::ethernet(0x0800, &ip(51)),
            sample::ethernet(0x86dd, &[0x60, 0, 0, 0, 1, 0, 0, 64]),
            sample::ethernet(0x86dd, &sample::ipv6(43, &[])),
            sample::ethernet(0x86dd, &sample::ipv6(58, &[])),
            sample::ethernet(0x8847, &[]),
            sample::ethernet(0x8864, &[]),
            sample::ethernet(0x88e7, &[]),
            sample::ethernet(0x894f, &[]),
            sample::ethernet(0x0800, &[&ip(17)[..], &sample::udp(4789, &[8, 0, 0, 0, 0, 0, 0, 0])].concat()),
            sample::ethernet(0x0800, &[&ip(17)[..], &sample::udp(4790, &[])].concat()),
            sample::ethernet(0x0800, &[&ip(17)[..], &sample::udp(6081, &[])].concat()),
            sample::ethernet(0x0800, &[&ip(17)[..], &sample::udp(2152, &[0x34, 255])].concat()),
            sample::ethernet(0x0800, &[&ip(17)[..], &sample::udp(3544, &[0, 1])].concat()),
        ])
        .prop_map(|mut bytes| {
            // The total length would otherwise end the packet where the random bytes begin.
            if bytes.get(12..14) == Some(&[8, 0]) {
                bytes[16..18].copy_from_slice(&[1, 0]);
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_within_the_frame(
            link in prop::sample::select(vec![0u16, 1, 6, 9, 10, 12, 14, 50, 101, 104, 108, 113, 228, 229, 276, 999]),
            prefix in prefix(),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            wire in any::<u32>(),
        ) {
            let frame = [prefix, bytes].concat();
            let mut packet = Packet::default();
            if decode(link, &frame, wire, &mut packet) == Outcome::Transport {
                prop_assert!(packet.payload_captured <= packet.payload_length);
                prop_assert!((packet.payload_offset + packet.payload_captured) as usize <= frame.len());
            }
        }

        #[test]
        fn deep_nesting_ends(levels in 1usize..60, mpls in any::<bool>()) {
            let mut inner = sample::segment();
            for _ in 0..levels {
                inner = match mpls {
                    true => sample::ethernet(0x8847, &[&[0, 0, 1, 64, 0, 0, 0, 0][..], &inner].concat()),
                    false => sample::ipv4(4, &inner),
                };
            }
            let _ = sample::decode(if mpls { 1 } else { 101 }, &inner);
        }
    }
}
