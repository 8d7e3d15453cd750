//! Network service header, which steers packets along service chains (RFC 8300). No tunnel of its own: the packet
//! keeps the one around it.

use super::super::layer::Layer;
use super::super::link::{ethernet, mpls};
use super::super::net;
use super::super::packet::{Outcome, Packet};

/// Base and service path header.
const SHORTEST_HEADER: usize = 8;

pub(in super::super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let Some(&[_, words, _, next]) = layer.head() else {
        return layer.bad("nsh-header-cut", "nsh", SHORTEST_HEADER);
    };
    let header = usize::from(words & 0x3f) * 4;
    let (true, Some(rest)) = (header >= SHORTEST_HEADER, layer.skip(header)) else {
        return layer.bad("nsh-bad-length", "nsh", header.max(SHORTEST_HEADER));
    };
    let Some(rest) = rest.deeper() else {
        return layer.too_deep();
    };
    match next {
        1 => net::ipv4::decode(rest, packet),
        2 => net::ipv6::decode(rest, packet),
        3 => ethernet::decode(rest, packet),
        5 => mpls::decode(rest, packet),
        _ => Outcome::NotIp(0),
    }
}
