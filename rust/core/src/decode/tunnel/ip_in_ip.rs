//! IP directly in IP (RFC 2003, RFC 4213, RFC 2473).

use super::super::layer::Layer;
use super::super::net;
use super::super::packet::{Outcome, Packet, Tunnel};
use super::{enter, inside};

pub(in super::super) fn decode_v4(layer: Layer, packet: &mut Packet) -> Outcome {
    inside(layer, packet, Outcome::OtherProtocol(4), |layer, packet| {
        enter(packet, Tunnel::IpIp, 0);
        net::ipv4::decode(layer, packet)
    })
}

pub(in super::super) fn decode_v6(layer: Layer, packet: &mut Packet) -> Outcome {
    inside(layer, packet, Outcome::OtherProtocol(41), |layer, packet| {
        enter(packet, Tunnel::Ipv6InIp, 0);
        net::ipv6::decode(layer, packet)
    })
}
