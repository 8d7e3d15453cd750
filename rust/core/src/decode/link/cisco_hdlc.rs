//! Cisco HDLC: address, control, EtherType (RFC 1547, section 4.3.1).

use super::super::layer::Layer;
use super::super::packet::{Outcome, Packet};
use super::ethertype;

pub(super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    match (layer.head(), layer.skip(4)) {
        (Some(&[_, _, high, low]), Some(rest)) => ethertype(u16::from_be_bytes([high, low]), rest, packet),
        _ => layer.bad("cisco-hdlc-header-cut", "cisco-hdlc", 4),
    }
}
