//! ICMP (RFC 792) and ICMPv6 (RFC 4443).

use super::super::layer::Layer;
use super::super::packet::{Outcome, Packet};
use super::quote;

const HEADER: usize = 8;

pub(in super::super) fn decode_v4(layer: Layer, packet: &mut Packet) -> Outcome {
    decode(layer, packet, |kind| match kind {
        0 | 8 => Kind::Echo,
        // Unreachable, source quench, redirect, time exceeded, parameter problem.
        3 | 4 | 5 | 11 | 12 => Kind::Error,
        _ => Kind::Other,
    })
}

pub(in super::super) fn decode_v6(layer: Layer, packet: &mut Packet) -> Outcome {
    decode(layer, packet, |kind| match kind {
        128 | 129 => Kind::Echo,
        // Unreachable, packet too big, time exceeded, parameter problem.
        1..=4 => Kind::Error,
        _ => Kind::Other,
    })
}

enum Kind {
    Echo,
    Error,
    Other,
}

fn decode(layer: Layer, packet: &mut Packet, kind: fn(u8) -> Kind) -> Outcome {
    let Some(&[message, code, c0, c1]) = layer.head() else {
        return layer.bad("icmp-header-cut", "icmp", 4);
    };
    packet.icmp_type = message;
    packet.icmp_code = code;
    packet.checksum = u16::from_be_bytes([c0, c1]);
    let rest = layer.skip(HEADER.min(layer.bytes.len())).unwrap_or(layer);
    packet.payload_offset = rest.offset;
    packet.payload_captured = rest.bytes.len() as u32;
    packet.payload_length = layer.wire.saturating_sub(HEADER as u32);
    match kind(message) {
        Kind::Echo => {
            let Some(&[_, _, _, _, i0, i1]) = layer.head() else {
                return layer.bad("icmp-header-cut", "icmp", 6);
            };
            packet.src_port = u16::from_be_bytes([i0, i1]);
            packet.dst_port = packet.src_port;
            packet.seq = layer.head().map_or(0, |&[_, _, _, _, _, _, s0, s1]| u32::from(u16::from_be_bytes([s0, s1])));
        }
        Kind::Error if layer.bytes.len() > HEADER => packet.quoted = quote::decode(rest),
        Kind::Error | Kind::Other => {}
    }
    Outcome::Transport
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::{Outcome, Packet, Quoted, protocol};
    use super::super::super::sample::{self, decode, ipv4, ipv6, segment, tcp, udp};

    fn received(bytes: &[u8]) -> Packet {
        let (outcome, packet) = decode(101, bytes);
        assert_eq!(outcome, Outcome::Transport);
        packet
    }

    #[test]
    fn echo_has_its_identifier_for_ports() {
        let packet = received(&ipv4(protocol::ICMP, &[8, 0, 0, 0, 1, 2, 0, 1, b'x']));
        assert_eq!((packet.icmp_type, packet.src_port, packet.dst_port, packet.payload_length), (8, 258, 258, 1));
        assert_eq!(packet.seq, 1);
        let packet = received(&ipv6(protocol::ICMPV6, &[129, 0, 0, 0, 1, 2, 0, 1]));
        assert_eq!((packet.icmp_type, packet.src_port), (129, 258));
    }

    #[test]
    fn an_error_quotes_the_packet_it_is_about() {
        let packet = received(&ipv4(protocol::ICMP, &[&[3, 4, 0, 0, 0, 0, 5, 0][..], &segment()[..28]].concat()));
        let Some(Quoted { src, protocol, src_port, dst_port, seq, .. }) = packet.quoted else { panic!("no quote") };
        assert_eq!((packet.icmp_code, protocol, src_port, dst_port, seq), (4, 6, 1000, 80, Some(5)));
        assert_eq!(src[12..], sample::CLIENT);
    }

    #[test]
    fn an_icmpv6_error_does_too() {
        let about = ipv6(60, &[&[17, 0, 0, 0, 0, 0, 0, 0][..], &udp(53, b"?")].concat());
        let packet = received(&ipv6(protocol::ICMPV6, &[&[1, 4, 0, 0, 0, 0, 0, 0][..], &about].concat()));
        let Some(quoted) = packet.quoted else { panic!("no quote") };
        assert_eq!((quoted.protocol, quoted.dst_port, quoted.seq, quoted.dst), (17, 53, None, [0x30; 16]));
    }

    #[test]
    fn a_quote_without_ports_is_none() {
        for quote in [&segment()[..23], &segment()[..8], &[0x60; 8], &[]] {
            let packet = received(&ipv4(protocol::ICMP, &[&[11, 0, 0, 0, 0, 0, 0, 0][..], quote].concat()));
            assert_eq!(packet.quoted, None);
        }
        let mut later = ipv4(6, &tcp(&[], &[]));
        later[7] = 9;
        assert_eq!(received(&ipv4(1, &[&[3, 1, 0, 0, 0, 0, 0, 0][..], &later].concat())).quoted, None);
    }

    #[test]
    fn a_header_without_type_is_bad() {
        assert!(matches!(decode(101, &ipv4(protocol::ICMP, &[8, 0, 0])).0, Outcome::Bad(_)));
    }
}
