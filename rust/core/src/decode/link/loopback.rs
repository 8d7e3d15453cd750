//! BSD loopback: four bytes of address family, in the byte order of the machine that captured (NULL) or of the
//! network (LOOP).

use super::super::layer::Layer;
use super::super::net;
use super::super::packet::{Outcome, Packet};

const AF_INET: u32 = 2;
/// AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, and Darwin.
const AF_INET6: [u32; 4] = [10, 24, 28, 30];

pub(super) fn decode(layer: Layer, packet: &mut Packet) -> Outcome {
    let (Some(family), Some(rest)) = (layer.head(), layer.skip(4)) else {
        return layer.bad("loopback-header-cut", "loopback", 4);
    };
    // Families are small numbers, so the byte order shows.
    let family = u32::from_le_bytes(*family).min(u32::from_be_bytes(*family));
    match family {
        AF_INET => net::ipv4::decode(rest, packet),
        family if AF_INET6.contains(&family) => net::ipv6::decode(rest, packet),
        _ => Outcome::NotIp(0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{TCP, expect_segment, ipv6, segment, tcp};

    #[test]
    fn both_byte_orders_and_every_family() {
        expect_segment(0, &[&[2, 0, 0, 0][..], &segment()].concat());
        expect_segment(108, &[&[0, 0, 0, 2][..], &segment()].concat());
        for family in [10, 24, 28, 30] {
            let packet = ipv6(TCP, &tcp(&[], b"hello"));
            expect_segment(0, &[&[family, 0, 0, 0][..], &packet].concat());
            expect_segment(0, &[&[0, 0, 0, family][..], &packet].concat());
        }
    }
}
