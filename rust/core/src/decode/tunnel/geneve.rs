//! Geneve (RFC 8926).

use super::super::layer::Layer;
use super::super::link;
use super::super::packet::{Outcome, Packet, Tunnel};
use super::enter;

const HEADER: usize = 8;
const VERSION: u8 = 0xc0;
const OPTION_WORDS: u8 = 0x3f;
/// Trans Ether Bridging: a whole Ethernet frame.
pub(super) const BRIDGED: u16 = 0x6558;

pub(super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let Some(&[first, _, p0, p1, v0, v1, v2, _]) = layer.head() else {
        return layer.bad("geneve-header-cut", "geneve", HEADER);
    };
    let header = HEADER + usize::from(first & OPTION_WORDS) * 4;
    match layer.skip(header) {
        Some(rest) if first & VERSION == 0 => {
            enter(packet, Tunnel::Geneve, u32::from_be_bytes([0, v0, v1, v2]));
            match u16::from_be_bytes([p0, p1]) {
                BRIDGED => link::ethernet::decode(rest, packet),
                kind => link::ethertype(kind, rest, packet),
            }
        }
        _ => layer.bad("geneve-bad-header", "geneve", header),
    }
}
