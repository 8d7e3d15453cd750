//! GRE (RFC 2784, RFC 2890), PPTP's version of it (RFC 2637), and ERSPAN (draft-foschiano-erspan).

use super::super::layer::Layer;
use super::super::link::{self, ethernet, ppp};
use super::super::packet::{Outcome, Packet, Tunnel};
use super::enter;
use super::geneve::BRIDGED;

const PROTOCOL: u8 = 47;

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
/// Version 1 only.
const ACKNOWLEDGEMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

const ERSPAN_II: u16 = 0x88be;
const ERSPAN_III: u16 = 0x22eb;
const PPP: u16 = 0x880b;

pub(in super::super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    super::inside(layer, packet, Outcome::OtherProtocol(PROTOCOL), header)
}

fn header(layer: Layer, packet: &mut Packet) -> Outcome {
    let Some(&[f0, f1, p0, p1]) = layer.head() else {
        return layer.bad("gre-header-cut", "gre", 4);
    };
    let flags = u16::from_be_bytes([f0, f1]);
    let version = flags & VERSION;
    // Source routes (RFC 1701) went out of use with the century.
    if version > 1 || (version == 0 && flags & ROUTING != 0) {
        return Outcome::NotIp(0);
    }
    let key_at = if version == 0 && flags & CHECKSUM != 0 { 8 } else { 4 };
    let optional = [KEY, SEQUENCE, if version == 1 { ACKNOWLEDGEMENT } else { 0 }];
    let header = key_at + optional.into_iter().filter(|flag| flags & flag != 0).count() * 4;
    let Some(rest) = layer.skip(header) else {
        return layer.bad("gre-header-cut", "gre", header);
    };
    let mut key = 0;
    if let (true, Some(&bytes)) = (flags & KEY != 0, layer.bytes.get(key_at..).and_then(|rest| rest.first_chunk())) {
        // PPTP keeps the payload length in the upper half, the call in the lower.
        key = if version == 1 { u32::from_be_bytes(bytes) & 0xffff } else { u32::from_be_bytes(bytes) };
    }
    enter(packet, Tunnel::Gre, key);
    match u16::from_be_bytes([p0, p1]) {
        PPP => ppp::decode(rest, packet),
        BRIDGED => ethernet::decode(rest, packet),
        // Type I has neither sequence number nor header of its own.
        ERSPAN_II if flags & SEQUENCE == 0 => mirrored(rest, 0, packet),
        ERSPAN_II => mirrored(rest, 8, packet),
        ERSPAN_III => mirrored(rest, erspan_iii_length(&rest), packet),
        kind => link::ethertype(kind, rest, packet),
    }
}

/// A mirrored frame behind an ERSPAN header; the session identifier is the tunnel's.
fn mirrored(layer: Layer, header: usize, packet: &mut Packet) -> Outcome {
    let Some(frame) = layer.skip(header) else {
        return layer.bad("erspan-header-cut", "erspan", header);
    };
    let session = match layer.head() {
        Some(&[_, _, high, low]) if header > 0 => u32::from(u16::from_be_bytes([high, low]) & 0x03ff),
        _ => 0,
    };
    enter(packet, Tunnel::Erspan, session);
    ethernet::decode(frame, packet)
}

/// The last bit of a type III header says whether a platform subheader follows.
fn erspan_iii_length(layer: &Layer) -> usize {
    if layer.byte(11).is_some_and(|last| last & 1 != 0) { 20 } else { 12 }
}
