//! IPv4 (RFC 791).

use super::super::layer::Layer;
use super::super::packet::{Outcome, Packet};

pub(in super::super) const SHORTEST_HEADER: usize = 20;

const FRAGMENT_OFFSET: u16 = 0x1fff;

/// An IPv4 address as IPv6 writes it (RFC 4291, section 2.5.5.2).
#[inline]
pub(in super::super) fn mapped(a: u8, b: u8, c: u8, d: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

#[inline]
pub(in super::super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let Some(&[first, _, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3]) = layer.head()
    else {
        return layer.bad("ipv4-header-cut", "ipv4", SHORTEST_HEADER);
    };
    let header = usize::from(first & 0x0f) * 4;
    if first >> 4 == 6 {
        // Rewriting tools leave the EtherType of IPv4 in front of IPv6; Wireshark believes the version too.
        return super::ipv6::decode(layer, packet);
    }
    if first >> 4 != 4 || header < SHORTEST_HEADER {
        return layer.bad("ipv4-bad-header", "ipv4", SHORTEST_HEADER);
    }
    // A length of 0 is a segment that the network card was to cut up (TSO): the frame says how long it was.
    let layer = match u32::from(u16::from_be_bytes([l0, l1])) {
        0 => layer.limit(super::LONGEST_OFFLOADED),
        total if (total as usize) < header => return layer.limit(total).bad("ipv4-bad-length", "ipv4", header),
        total => layer.limit(total),
    };
    let Some(rest) = layer.skip(header) else {
        return layer.bad("ipv4-options-cut", "ipv4", header);
    };
    packet.ip_version = 4;
    packet.src = mapped(s0, s1, s2, s3);
    packet.dst = mapped(d0, d1, d2, d3);
    packet.ttl = ttl;
    packet.ip_id = u16::from_be_bytes([i0, i1]);
    packet.protocol = protocol;
    if u16::from_be_bytes([f0, f1]) & FRAGMENT_OFFSET != 0 {
        return Outcome::Fragment;
    }
    super::payload(protocol, rest, packet)
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::{Outcome, Packet};
    use super::super::super::sample::{self, TCP, UDP, decode, expect_segment, segment, tcp, udp};

    const RAW: u16 = 101;

    #[test]
    fn options_are_passed_over() {
        let mut bytes = segment();
        bytes[0] = 0x46;
        bytes[3] += 4;
        bytes.splice(20..20, [1, 1, 1, 0]);
        expect_segment(RAW, &bytes);
    }

    #[test]
    fn a_total_length_of_zero_is_that_of_the_frame() {
        let mut bytes = segment();
        bytes[2..4].fill(0);
        expect_segment(RAW, &bytes);
    }

    #[test]
    fn a_total_length_beyond_the_wire_is_not_believed() {
        let mut bytes = segment();
        bytes[2] = 9;
        expect_segment(RAW, &bytes);
    }

    #[test]
    fn a_snap_length_leaves_the_payload_length() {
        let bytes = segment();
        let mut packet = Packet::default();
        let outcome = super::super::super::decode(RAW, &bytes[..42], bytes.len() as u32, &mut packet);
        assert_eq!((outcome, packet.payload_length, packet.payload_captured), (Outcome::Transport, 5, 2));
    }

    #[test]
    fn fragments() {
        let mut first = sample::ipv4(UDP, &udp(53, &[0; 100])[..40]);
        first[6] = 0x20;
        let (outcome, packet) = decode(RAW, &first);
        assert_eq!((outcome, packet.payload_length), (Outcome::Transport, 32));
        let mut later = first;
        later[7] = 5;
        let (outcome, packet) = decode(RAW, &later);
        assert_eq!((outcome, packet.protocol, packet.src_port), (Outcome::Fragment, UDP, 0));
    }

    #[test]
    fn bad_lengths() {
        for (at, value) in [(0, 0x44), (0, 0x55), (3, 19)] {
            let mut bytes = segment();
            bytes[2] = 0;
            bytes[at] = value;
            assert!(!matches!(decode(228, &bytes).0, Outcome::Transport), "{at} {value}");
        }
    }

    #[test]
    fn the_authentication_header_is_passed_through() {
        let inside = [&[TCP, 4, 0, 0][..], &[0; 20], &tcp(&[], b"hello")].concat();
        expect_segment(RAW, &sample::ipv4(51, &inside));
        assert_eq!(decode(RAW, &sample::ipv4(50, &inside)).0, Outcome::OtherProtocol(50));
    }
}
