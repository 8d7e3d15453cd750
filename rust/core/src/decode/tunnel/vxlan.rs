//! VXLAN (RFC 7348) and its generic protocol extension (draft-ietf-nvo3-vxlan-gpe).

use super::super::layer::Layer;
use super::super::link::{ethernet, mpls};
use super::super::net;
use super::super::packet::{Outcome, Packet, Tunnel};
use super::{enter, nsh};

const HEADER: usize = 8;
const VALID_IDENTIFIER: u8 = 0x08;
const NEXT_PROTOCOL: u8 = 0x04;

pub(super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    match (layer.head(), layer.skip(HEADER)) {
        (Some(&[flags, _, _, _, v0, v1, v2, _]), Some(frame)) if flags & VALID_IDENTIFIER != 0 => {
            enter(packet, Tunnel::Vxlan, u32::from_be_bytes([0, v0, v1, v2]));
            ethernet::decode(frame, packet)
        }
        _ => layer.bad("vxlan-bad-header", "vxlan", HEADER),
    }
}

pub(super) fn decode_gpe(layer: Layer, packet: &mut Packet) -> Outcome {
    let (Some(&[flags, _, _, next, v0, v1, v2, _]), Some(rest)) = (layer.head(), layer.skip(HEADER)) else {
        return layer.bad("vxlan-bad-header", "vxlan", HEADER);
    };
    if flags & VALID_IDENTIFIER != 0 {
        enter(packet, Tunnel::Vxlan, u32::from_be_bytes([0, v0, v1, v2]));
    } else {
        enter(packet, Tunnel::Vxlan, 0);
    }
    match next {
        _ if flags & NEXT_PROTOCOL == 0 => ethernet::decode(rest, packet),
        1 => net::ipv4::decode(rest, packet),
        2 => net::ipv6::decode(rest, packet),
        3 => ethernet::decode(rest, packet),
        4 => nsh::decode(rest, packet),
        5 => mpls::decode(rest, packet),
        _ => Outcome::NotIp(0),
    }
}
