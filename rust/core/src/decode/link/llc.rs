//! IEEE 802.2 LLC, with SNAP.

use super::super::layer::Layer;
use super::super::net;
use super::super::packet::{Outcome, Packet};
use super::ethertype;

const SNAP: u8 = 0xaa;
/// The SAP that RFC 948 gave to IP.
const IP: u8 = 0x06;
const UNNUMBERED_INFORMATION: u8 = 0x03;

pub(super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    match *layer.bytes {
        // Organisation 00-00-00 is RFC 1042, 00-00-f8 the bridge tunnel of IEEE 802.1H.
        [SNAP, SNAP, UNNUMBERED_INFORMATION, 0, 0, 0 | 0xf8, high, low, ..] => match layer.skip(8) {
            Some(rest) => ethertype(u16::from_be_bytes([high, low]), rest, packet),
            None => Outcome::NotIp(0),
        },
        [IP, IP, UNNUMBERED_INFORMATION, ..] => match layer.skip(3) {
            Some(rest) => net::ipv4::decode(rest, packet),
            None => Outcome::NotIp(0),
        },
        _ => Outcome::NotIp(0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{expect_segment, segment};

    const SNAP_IP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    #[test]
    fn in_fddi_and_token_ring() {
        expect_segment(10, &[&[0x50][..], &[2; 12], &SNAP_IP, &segment()].concat());
        expect_segment(6, &[&[0x10, 0x40][..], &[2; 12], &SNAP_IP, &segment()].concat());
        let routed = [&[0x10, 0x40][..], &[2; 6], &[0x82; 6], &[4, 0, 0, 0], &SNAP_IP, &segment()].concat();
        expect_segment(6, &routed);
    }

    #[test]
    fn ip_by_its_own_sap() {
        expect_segment(10, &[&[0x50][..], &[2; 12], &[6, 6, 3], &segment()].concat());
    }
}
