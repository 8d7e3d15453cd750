//! The packet that an ICMP error quotes, often cut after 8 bytes of its transport header (RFC 792; RFC 1812,
//! section 4.3.2.3).

use super::super::layer::Layer;
use super::super::net::{ipv4, ipv6};
use super::super::packet::{Quoted, protocol};

/// `None` when the quote does not reach the ports, or is a later fragment and has none.
pub(super) fn decode(layer: Layer) -> Option<Quoted> {
    match layer.byte(0)? >> 4 {
        4 => decode_v4(layer),
        6 => decode_v6(layer),
        _ => None,
    }
}

fn decode_v4(layer: Layer) -> Option<Quoted> {
    let &[first, _, _, _, _, _, f0, f1, _, number, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = layer.head()?;
    let later_fragment = u16::from_be_bytes([f0, f1]) & 0x1fff != 0;
    let header = usize::from(first & 0x0f) * 4;
    if later_fragment || header < ipv4::SHORTEST_HEADER {
        return None;
    }
    // The total length is not looked at: some routers and all BSD kernels of old change it in the quote.
    let transport = layer.skip(header)?;
    quoted(ipv4::mapped(s0, s1, s2, s3), ipv4::mapped(d0, d1, d2, d3), number, transport)
}

fn decode_v6(layer: Layer) -> Option<Quoted> {
    let &[_, _, _, _, _, _, next, _] = layer.head()?;
    let (src, dst) = (ipv6::address(&layer, 8)?, ipv6::address(&layer, 24)?);
    match ipv6::extensions(next, layer.skip(ipv6::HEADER)?) {
        ipv6::Extensions::End { next, rest } => quoted(src, dst, next, rest),
        ipv6::Extensions::LaterFragment { .. } | ipv6::Extensions::Bad(_) => None,
    }
}

fn quoted(src: [u8; 16], dst: [u8; 16], number: u8, transport: Layer) -> Option<Quoted> {
    let mut found = Quoted { src, dst, protocol: number, src_port: 0, dst_port: 0, seq: None };
    match number {
        protocol::TCP | protocol::UDP => {
            let &[s0, s1, d0, d1] = transport.head()?;
            found.src_port = u16::from_be_bytes([s0, s1]);
            found.dst_port = u16::from_be_bytes([d0, d1]);
            if let (protocol::TCP, Some(&[_, _, _, _, q0, q1, q2, q3])) = (number, transport.head()) {
                found.seq = Some(u32::from_be_bytes([q0, q1, q2, q3]));
            }
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let &[message, _, _, _, i0, i1] = transport.head()?;
            if matches!((number, message), (protocol::ICMP, 0 | 8) | (protocol::ICMPV6, 128 | 129)) {
                found.src_port = u16::from_be_bytes([i0, i1]);
                found.dst_port = found.src_port;
            }
        }
        _ => {}
    }
    Some(found)
}
