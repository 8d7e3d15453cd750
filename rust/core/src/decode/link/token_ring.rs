//! Token Ring, IEEE 802.5, with source routing.

use super::super::layer::Layer;
use super::super::packet::{Outcome, Packet};
use super::llc;

const HEADER: usize = 14;
const LLC_FRAME: u8 = 0x40;
/// The group bit of a source address says that routing information follows.
const SOURCE_ROUTED: u8 = 0x80;

pub(super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let (Some(&[_, control, _, _, _, _, _, _, source, ..]), Some(mut rest)) =
        (layer.head::<HEADER>(), layer.skip(HEADER))
    else {
        return layer.bad("token-ring-header-cut", "token-ring", HEADER);
    };
    if control & 0xc0 != LLC_FRAME {
        return Outcome::NotIp(0);
    }
    if source & SOURCE_ROUTED != 0 {
        let length = rest.byte(0).map_or(0, |first| usize::from(first & 0x1f));
        match rest.skip(length) {
            Some(after) => rest = after,
            None => return rest.bad("token-ring-route-cut", "token-ring", length.max(1)),
        }
    }
    llc::decode(rest, packet)
}
