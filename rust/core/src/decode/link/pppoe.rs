//! PPPoE sessions (RFC 2516).

use super::super::layer::Layer;
use super::super::packet::{Outcome, Packet};
use super::ppp;

const HEADER: usize = 6;

pub(super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let (Some(&[_, _, _, _, high, low]), Some(rest)) = (layer.head(), layer.skip(HEADER)) else {
        return layer.bad("pppoe-header-cut", "pppoe", HEADER);
    };
    ppp::decode(rest.limit(u32::from(u16::from_be_bytes([high, low]))), packet)
}
