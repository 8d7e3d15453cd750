//! MPLS label stacks (RFC 3032). Nothing says what they carry, so the first nibble has to (RFC 4928, section 3).

use super::super::layer::Layer;
use super::super::net;
use super::super::packet::{Outcome, Packet};
use super::ethernet;

const BOTTOM_OF_STACK: u8 = 0x01;

pub(in super::super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let mut rest = layer;
    loop {
        let (Some(&[_, _, low, _]), Some(next)) = (rest.head(), rest.skip(4)) else {
            return rest.bad("mpls-label-cut", "mpls", 4);
        };
        rest = next;
        if low & BOTTOM_OF_STACK != 0 {
            break;
        }
    }
    let Some(inner) = rest.deeper() else {
        return layer.too_deep();
    };
    let Some(first) = inner.byte(0) else {
        return inner.bad("mpls-payload-cut", "mpls", 1);
    };
    // A MAC address may begin with 4 or 6 as well.
    match first >> 4 {
        4 if first & 0x0f >= 5 => net::ipv4::decode(inner, packet),
        6 if !ethernet::plausible(&inner) => net::ipv6::decode(inner, packet),
        // Pseudowire control word (RFC 4385, section 3), which an Ethernet pseudowire may leave out.
        0 => match inner.skip(4) {
            Some(frame) if ethernet::plausible(&frame) || !ethernet::plausible(&inner) => {
                ethernet::decode(frame, packet)
            }
            _ => ethernet::decode(inner, packet),
        },
        6 if net::ipv6::plausible(&inner) => net::ipv6::decode(inner, packet),
        _ if ethernet::plausible(&inner) => ethernet::decode(inner, packet),
        _ => Outcome::NotIp(0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{ethernet, expect_segment, segment};

    const LABELS: [u8; 8] = [0, 1, 0, 64, 0, 2, 1, 64];

    #[test]
    fn ip_behind_a_label_stack() {
        expect_segment(1, &ethernet(0x8847, &[&LABELS[..], &segment()].concat()));
    }

    #[test]
    fn pseudowires_with_and_without_control_word() {
        let frame = ethernet(0x0800, &segment());
        expect_segment(1, &ethernet(0x8847, &[&LABELS[..], &[0; 4], &frame].concat()));
        expect_segment(1, &ethernet(0x8847, &[&LABELS[..], &frame].concat()));
    }

    #[test]
    fn a_mac_address_may_begin_with_6() {
        let mut frame = ethernet(0x0800, &segment());
        frame[0] = 0x60;
        expect_segment(1, &ethernet(0x8847, &[&LABELS[..], &frame].concat()));
    }
}
