//! IPv6 and its extension headers (RFC 8200).

use super::super::layer::Layer;
use super::super::packet::{Outcome, Packet};

pub(in super::super) const HEADER: usize = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
pub(in super::super) const NO_NEXT_HEADER: u8 = 59;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// More extension headers than any sane packet has.
const MOST_EXTENSIONS: usize = 16;
const FRAGMENT_OFFSET: u16 = 0xfff8;

#[inline]
pub(in super::super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let (Some((&[first, _, _, _, l0, l1, next, hops], _)), Some(rest)) =
        (layer.bytes.split_first_chunk(), layer.skip(HEADER))
    else {
        return layer.bad("ipv6-header-cut", "ipv6", HEADER);
    };
    let (Some(src), Some(dst)) = (address(&layer, 8), address(&layer, 24)) else {
        return layer.bad("ipv6-header-cut", "ipv6", HEADER);
    };
    if first >> 4 != 6 {
        return layer.bad("ipv6-bad-header", "ipv6", HEADER);
    }
    packet.ip_version = 6;
    packet.src = src;
    packet.dst = dst;
    packet.ttl = hops;
    packet.ip_id = 0;
    // 0 is a jumbogram or a segment that the network card was to cut up: the frame says how long it was.
    let rest = match u16::from_be_bytes([l0, l1]) {
        0 => rest.limit(super::LONGEST_OFFLOADED),
        length => rest.limit(u32::from(length)),
    };
    match extensions(next, rest) {
        Extensions::End { next: NO_NEXT_HEADER, .. } => {
            packet.protocol = NO_NEXT_HEADER;
            Outcome::OtherProtocol(NO_NEXT_HEADER)
        }
        Extensions::End { next, rest } => super::payload(next, rest, packet),
        Extensions::LaterFragment { next } => {
            packet.protocol = next;
            Outcome::Fragment
        }
        Extensions::Bad(outcome) => outcome,
    }
}

/// Whether the bytes are an IPv6 packet that fits exactly.
pub(in super::super) fn plausible(layer: &Layer) -> bool {
    match layer.head() {
        Some(&[first, _, _, _, l0, l1, _, _]) => {
            first >> 4 == 6 && u32::from(u16::from_be_bytes([l0, l1])) + HEADER as u32 == layer.wire
        }
        None => false,
    }
}

/// The address that starts at byte `at` of the header.
#[inline]
pub(in super::super) fn address(layer: &Layer, at: usize) -> Option<[u8; 16]> {
    layer.bytes.get(at..)?.first_chunk().copied()
}

/// What the chain of extension headers leads to.
pub(in super::super) enum Extensions<'a> {
    End { next: u8, rest: Layer<'a> },
    LaterFragment { next: u8 },
    Bad(Outcome),
}

/// Walks the extension headers that follow an IPv6 header.
#[inline]
pub(in super::super) fn extensions(mut next: u8, mut rest: Layer) -> Extensions {
    for _ in 0..MOST_EXTENSIONS {
        let length = match next {
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | HOST_IDENTITY | SHIM6 => {
                rest.byte(1).map_or(8, |units| (usize::from(units) + 1) * 8)
            }
            FRAGMENT => 8,
            _ => return Extensions::End { next, rest },
        };
        let (Some(&[following, _, o0, o1]), Some(after)) = (rest.head(), rest.skip(length)) else {
            return Extensions::Bad(rest.bad("ipv6-extension-cut", "ipv6-extension", length));
        };
        if next == FRAGMENT && u16::from_be_bytes([o0, o1]) & FRAGMENT_OFFSET != 0 {
            return Extensions::LaterFragment { next: following };
        }
        (next, rest) = (following, after);
    }
    Extensions::Bad(rest.too_deep())
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::Outcome;
    use super::super::super::sample::{TCP, UDP, decode, expect_segment, ipv6, tcp, udp};

    const RAW: u16 = 101;

    #[test]
    fn extension_headers_are_passed_over() {
        let transport = tcp(&[], b"hello");
        let packet = expect_segment(RAW, &ipv6(TCP, &transport));
        assert_eq!((packet.ip_version, packet.ttl, packet.src, packet.dst), (6, 63, [0x20; 16], [0x30; 16]));
        let chain = [&[60, 0, 0, 0, 0, 0, 0, 0, TCP, 1][..], &[0; 14], &transport].concat();
        expect_segment(RAW, &ipv6(0, &chain));
    }

    #[test]
    fn a_payload_length_of_zero_is_that_of_the_frame() {
        let mut bytes = ipv6(TCP, &tcp(&[], b"hello"));
        bytes[4..6].fill(0);
        expect_segment(RAW, &bytes);
    }

    #[test]
    fn fragments() {
        let first = [&[UDP, 0, 0, 1, 0, 0, 0, 9][..], &udp(53, &[0; 40])].concat();
        assert_eq!(decode(RAW, &ipv6(44, &first)).0, Outcome::Transport);
        let later = [&[UDP, 0, 0, 8, 0, 0, 0, 9][..], &[0; 40]].concat();
        let (outcome, packet) = decode(RAW, &ipv6(44, &later));
        assert_eq!((outcome, packet.protocol), (Outcome::Fragment, UDP));
    }

    #[test]
    fn endless_extensions_end() {
        let chain = [60, 0, 0, 0, 0, 0, 0, 0].repeat(200);
        assert!(matches!(decode(RAW, &ipv6(60, &chain)).0, Outcome::Bad(_)));
        assert_eq!(decode(RAW, &ipv6(59, &[])).0, Outcome::OtherProtocol(59));
    }
}
