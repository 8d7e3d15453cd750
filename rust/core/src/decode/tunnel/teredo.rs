//! Teredo: IPv6 in UDP (RFC 4380, section 5.1.1).

use super::super::layer::Layer;
use super::super::net::ipv6;
use super::super::packet::{Outcome, Packet, Tunnel};
use super::enter;

/// Client and authentication lengths, nonce and confirmation byte around what they count.
const AUTHENTICATION: usize = 13;
const ORIGIN: usize = 8;

pub(super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let mut rest = layer;
    if let Some(&[0, 1, client, value]) = rest.head() {
        match rest.skip(AUTHENTICATION + usize::from(client) + usize::from(value)) {
            Some(after) => rest = after,
            None => return Outcome::NotIp(0),
        }
    }
    if let (Some([0, 0]), Some(after)) = (rest.head(), rest.skip(ORIGIN)) {
        rest = after;
    }
    // Port 3544 alone proves nothing.
    if !ipv6::plausible(&rest) {
        return Outcome::NotIp(0);
    }
    enter(packet, Tunnel::Ipv6InIp, 0);
    match ipv6::decode(rest, packet) {
        // A bubble opens the way through a NAT and carries nothing: the UDP packet is the news.
        Outcome::OtherProtocol(ipv6::NO_NEXT_HEADER) => Outcome::NotIp(0),
        outcome => outcome,
    }
}
