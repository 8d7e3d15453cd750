//! Network layers: IPv4 and IPv6, and what their protocol numbers lead to.

pub(super) mod ipv4;
pub(super) mod ipv6;

use super::layer::Layer;
use super::packet::{Outcome, Packet, protocol};
use super::{transport, tunnel};

const IPIP: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const AUTHENTICATION_HEADER: u8 = 51;
/// MPLS directly in IP (RFC 4023).
const MPLS: u8 = 137;

/// What Linux hands to a network card in one piece at most (GSO_MAX_SIZE); a frame that claims more is damaged.
const LONGEST_OFFLOADED: u32 = 8 * 65_536;

/// IPv4 or IPv6, as the first nibble says.
pub(super) fn by_version(layer: Layer, packet: &mut Packet) -> Outcome {
    match layer.byte(0).map(|first| first >> 4) {
        Some(4) => ipv4::decode(layer, packet),
        Some(6) => ipv6::decode(layer, packet),
        Some(_) => Outcome::NotIp(0),
        None => layer.bad("ip-header-cut", "ip", 1),
    }
}

/// Decodes what an IP header carries; `number` and the addresses are already in `packet`.
#[inline]
fn payload(number: u8, layer: Layer, packet: &mut Packet) -> Outcome {
    packet.protocol = number;
    match number {
        protocol::TCP => transport::tcp::decode(layer, packet),
        protocol::UDP => transport::udp::decode(layer, packet),
        protocol::ICMP => transport::icmp::decode_v4(layer, packet),
        protocol::ICMPV6 => transport::icmp::decode_v6(layer, packet),
        IPIP => tunnel::ip_in_ip::decode_v4(layer, packet),
        IPV6 => tunnel::ip_in_ip::decode_v6(layer, packet),
        GRE => tunnel::gre::decode(layer, packet),
        MPLS => tunnel::inside(layer, packet, Outcome::OtherProtocol(MPLS), super::link::mpls::decode),
        AUTHENTICATION_HEADER => authenticated(layer, packet),
        _ => Outcome::OtherProtocol(number),
    }
}

/// The authentication header hides nothing; its length counts words of 4 bytes, minus 2 (RFC 4302, section 2.2).
fn authenticated(layer: Layer, packet: &mut Packet) -> Outcome {
    let Some(&[next, words]) = layer.head() else {
        return layer.bad("ah-header-cut", "ah", 2);
    };
    let length = (usize::from(words) + 2) * 4;
    match layer.skip(length).map(Layer::deeper) {
        Some(Some(rest)) => payload(next, rest, packet),
        Some(None) => layer.too_deep(),
        None => layer.bad("ah-header-cut", "ah", length),
    }
}
