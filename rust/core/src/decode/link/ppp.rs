//! PPP (RFC 1661), also in HDLC-like framing (RFC 1662).

use super::super::layer::Layer;
use super::super::net;
use super::super::packet::{Outcome, Packet};
use super::{cisco_hdlc, mpls};

const IPV4: u16 = 0x0021;
const IPV6: u16 = 0x0057;
const MPLS: u16 = 0x0281;

/// PPP with or without the address and control bytes `ff 03`.
pub(in super::super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let protocol = match layer.head() {
        Some(&[0xff, 0x03]) => layer.skip(2),
        _ => Some(layer),
    };
    let Some(protocol) = protocol else {
        return layer.bad("ppp-header-cut", "ppp", 4);
    };
    // Protocol field compression drops a high byte of zero; the low byte is always odd (RFC 1661, section 6.5).
    let (number, length) = match *protocol.bytes {
        [low, ..] if low & 1 != 0 => (u16::from(low), 1),
        [high, low, ..] => (u16::from_be_bytes([high, low]), 2),
        _ => return layer.bad("ppp-header-cut", "ppp", 4),
    };
    let Some(rest) = protocol.skip(length) else {
        return layer.bad("ppp-header-cut", "ppp", 4);
    };
    match number {
        IPV4 => net::ipv4::decode(rest, packet),
        IPV6 => net::ipv6::decode(rest, packet),
        MPLS => mpls::decode(rest, packet),
        _ => Outcome::NotIp(0),
    }
}

/// LINKTYPE_PPP_HDLC: PPP, or Cisco's framing when the address byte is not PPP's.
pub(super) fn decode_hdlc(layer: Layer, packet: &mut Packet) -> Outcome {
    match layer.byte(0) {
        Some(0x0f | 0x8f) => cisco_hdlc::decode(layer, packet),
        _ => decode(layer, packet),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{ethernet, expect_segment, segment};

    #[test]
    fn every_form_of_the_header() {
        for header in [&[0xff, 0x03, 0, 0x21][..], &[0, 0x21], &[0x21], &[0xff, 0x03, 0x21]] {
            expect_segment(9, &[header, &segment()].concat());
            expect_segment(50, &[header, &segment()].concat());
        }
    }

    #[test]
    fn cisco_framing() {
        expect_segment(50, &[&[0x0f, 0, 8, 0][..], &segment()].concat());
        expect_segment(104, &[&[0x0f, 0, 8, 0][..], &segment()].concat());
    }

    #[test]
    fn pppoe_session() {
        let length = (segment().len() as u8 + 2).to_be_bytes();
        let session = [&[0x11, 0, 0, 1, 0, length[0], 0, 0x21][..], &segment()].concat();
        expect_segment(1, &ethernet(0x8864, &session));
    }
}
