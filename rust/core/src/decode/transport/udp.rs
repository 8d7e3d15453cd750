//! UDP (RFC 768), and the tunnels in it.

use super::super::layer::Layer;
use super::super::packet::{Outcome, Packet};
use super::super::tunnel;

const HEADER: usize = 8;

#[inline]
pub(in super::super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let (Some(&[s0, s1, d0, d1, l0, l1, c0, c1]), Some(rest)) = (layer.head::<HEADER>(), layer.skip(HEADER)) else {
        return layer.bad("udp-header-cut", "udp", HEADER);
    };
    // 0 is allowed for jumbograms (RFC 2675, section 4) and seen before segmentation offload.
    let payload = match u32::from(u16::from_be_bytes([l0, l1])) {
        0 if layer.wire > u32::from(u16::MAX) => rest,
        length => match length.checked_sub(HEADER as u32) {
            Some(length) => rest.limit(length),
            None => return layer.bad("udp-bad-length", "udp", HEADER),
        },
    };
    packet.src_port = u16::from_be_bytes([s0, s1]);
    packet.dst_port = u16::from_be_bytes([d0, d1]);
    packet.checksum = u16::from_be_bytes([c0, c1]);
    packet.payload_offset = payload.offset;
    packet.payload_captured = payload.bytes.len() as u32;
    packet.payload_length = payload.wire;
    tunnel::in_udp(payload, packet)
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::Outcome;
    use super::super::super::sample::{UDP, decode, ipv4, udp};

    const RAW: u16 = 101;

    #[test]
    fn the_length_field_limits_the_payload() {
        let (outcome, packet) = decode(RAW, &ipv4(UDP, &udp(53, b"question")));
        assert_eq!((outcome, packet.src_port, packet.dst_port), (Outcome::Transport, 1000, 53));
        assert_eq!((packet.payload_offset, packet.payload_length), (28, 8));
        let mut padded = ipv4(UDP, &[&udp(53, b"question")[..], &[0; 9]].concat());
        assert_eq!(decode(RAW, &padded).1.payload_length, 8);
        padded[25] = 200;
        assert_eq!(decode(RAW, &padded).1.payload_length, 17);
        padded[25] = 7;
        assert!(matches!(decode(RAW, &padded).0, Outcome::Bad(_)));
    }
}
