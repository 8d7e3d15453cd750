//! GTP version 1, user plane (3GPP TS 29.281, section 5).

use super::super::layer::Layer;
use super::super::packet::{Outcome, Packet, Tunnel};
use super::enter;

const HEADER: usize = 8;
/// Version 1, protocol type GTP.
const VERSION_1: u8 = 0x30;
const VERSION: u8 = 0xf0;
const EXTENSION: u8 = 0x04;
/// Extension, sequence number or N-PDU number: one of them brings the room for all.
const OPTIONAL: u8 = 0x07;
/// Message type of user packets.
const PACKET: u8 = 255;
const MOST_EXTENSIONS: usize = 8;

pub(super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let (Some(&[flags, PACKET, l0, l1, t0, t1, t2, t3]), Some(rest)) = (layer.head(), layer.skip(HEADER)) else {
        return Outcome::NotIp(0);
    };
    if flags & VERSION != VERSION_1 {
        return Outcome::NotIp(0);
    }
    let mut rest = rest.limit(u32::from(u16::from_be_bytes([l0, l1])));
    if flags & OPTIONAL != 0 {
        let (Some(&[_, _, _, following]), Some(after)) = (rest.head(), rest.skip(4)) else {
            return rest.bad("gtp-header-cut", "gtp", 4);
        };
        rest = after;
        let mut next = if flags & EXTENSION != 0 { following } else { 0 };
        for _ in 0..MOST_EXTENSIONS {
            if next == 0 {
                break;
            }
            let length = rest.byte(0).map_or(0, |words| usize::from(words) * 4);
            let last = length.checked_sub(1).and_then(|at| rest.byte(at));
            let (Some(following), Some(after)) = (last, rest.skip(length)) else {
                return rest.bad("gtp-extension-cut", "gtp", length.max(4));
            };
            (next, rest) = (following, after);
        }
    }
    enter(packet, Tunnel::Gtp, u32::from_be_bytes([t0, t1, t2, t3]));
    super::ip(rest, packet)
}
