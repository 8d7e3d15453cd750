//! FDDI: frame control, two addresses, LLC (RFC 1390).

use super::super::layer::Layer;
use super::super::packet::{Outcome, Packet};
use super::llc;

const HEADER: usize = 13;

pub(super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    match (layer.byte(0), layer.skip(HEADER)) {
        // The rest are tokens and station management.
        (Some(control), Some(rest)) if control & 0x70 == 0x50 => llc::decode(rest, packet),
        (Some(_), Some(_)) => Outcome::NotIp(0),
        _ => layer.bad("fddi-header-cut", "fddi", HEADER),
    }
}
