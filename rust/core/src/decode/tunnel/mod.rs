//! Packets inside packets. The innermost one is the packet; where nothing inside can be read, the outer one is.

mod geneve;
pub(super) mod gre;
mod gtp;
pub(super) mod ip_in_ip;
pub(super) mod nsh;
mod teredo;
mod vxlan;

use super::layer::Layer;
use super::net;
use super::packet::{Outcome, Packet, Tunnel};

const GTP_USER: u16 = 2152;
const TEREDO: u16 = 3544;
const VXLAN: u16 = 4789;
const VXLAN_GPE: u16 = 4790;
const GENEVE: u16 = 6081;
/// VXLAN as Linux did it before the port had been assigned; also Cisco OTV.
const VXLAN_OLD: u16 = 8472;

/// A UDP payload: what is in the tunnel if it is one, else the UDP packet itself.
#[inline]
pub(super) fn in_udp(layer: Layer, packet: &mut Packet) -> Outcome {
    let decoder: fn(Layer, &mut Packet) -> Outcome = match packet.dst_port {
        VXLAN | VXLAN_OLD => vxlan::decode,
        VXLAN_GPE => vxlan::decode_gpe,
        GENEVE => geneve::decode,
        GTP_USER => gtp::decode,
        TEREDO => teredo::decode,
        _ if packet.src_port == TEREDO => teredo::decode,
        _ => return Outcome::Transport,
    };
    inside(layer, packet, Outcome::Transport, decoder)
}

/// Runs the decoder of a tunnel on what it carries. When that is no IP packet, `packet` stays what it was and the
/// outcome is `outer`.
pub(super) fn inside(
    layer: Layer,
    packet: &mut Packet,
    outer: Outcome,
    decoder: impl FnOnce(Layer, &mut Packet) -> Outcome,
) -> Outcome {
    let Some(layer) = layer.deeper() else {
        return outer;
    };
    let mut inner = Packet {
        vlan: packet.vlan,
        packet_type: packet.packet_type,
        interface_index: packet.interface_index,
        tunnel: packet.tunnel,
        tunnel_id: packet.tunnel_id,
        ..Packet::default()
    };
    match decoder(layer, &mut inner) {
        found @ (Outcome::Transport | Outcome::OtherProtocol(_) | Outcome::Fragment) => {
            *packet = inner;
            found
        }
        Outcome::NotIp(_) | Outcome::UnknownLink | Outcome::Bad(_) => outer,
    }
}

/// Marks the packet as one that came out of a tunnel.
fn enter(packet: &mut Packet, tunnel: Tunnel, id: u32) {
    packet.tunnel = tunnel;
    packet.tunnel_id = id;
}

/// IPv4 or IPv6 inside a tunnel that does not say which.
fn ip(layer: Layer, packet: &mut Packet) -> Outcome {
    net::by_version(layer, packet)
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Outcome, Packet, Tunnel};
    use super::super::sample::{self, UDP, decode, ethernet, expect_segment, ipv4, ipv6, segment, udp};

    const RAW: u16 = 101;
    const GRE: u8 = 47;

    fn in_udp(port: u16, header: &[u8], inner: &[u8]) -> Vec<u8> {
        ipv4(UDP, &udp(port, &[header, inner].concat()))
    }

    fn expect(bytes: &[u8], tunnel: Tunnel, id: u32) -> Packet {
        let packet = expect_segment(RAW, bytes);
        assert_eq!((packet.tunnel, packet.tunnel_id), (tunnel, id));
        packet
    }

    #[test]
    fn vxlan_on_both_ports() {
        let frame = ethernet(0x0800, &segment());
        for port in [4789, 8472] {
            expect(&in_udp(port, &[8, 0, 0, 0, 0, 1, 2, 0], &frame), Tunnel::Vxlan, 258);
        }
        let (outcome, packet) = decode(RAW, &in_udp(4789, &[0, 0, 0, 0, 0, 1, 2, 0], &frame));
        assert_eq!((outcome, packet.tunnel, packet.dst_port), (Outcome::Transport, Tunnel::None, 4789));
    }

    #[test]
    fn vxlan_gpe_and_service_headers() {
        expect(&in_udp(4790, &[0x0c, 0, 0, 1, 0, 0, 7, 0], &segment()), Tunnel::Vxlan, 7);
        let service = [&[0, 2, 1, 1, 0, 0, 0, 255][..], &segment()].concat();
        expect(&in_udp(4790, &[0x0c, 0, 0, 4, 0, 0, 7, 0], &service), Tunnel::Vxlan, 7);
        expect_segment(1, &ethernet(0x894f, &service));
    }

    #[test]
    fn geneve_with_options() {
        let frame = ethernet(0x0800, &segment());
        expect(&in_udp(6081, &[0, 0, 0x65, 0x58, 0, 0, 9, 0], &frame), Tunnel::Geneve, 9);
        expect(&in_udp(6081, &[1, 0, 0x08, 0, 0, 0, 9, 0, 1, 1, 1, 0], &segment()), Tunnel::Geneve, 9);
    }

    #[test]
    fn gtp_with_extensions() {
        let length = segment().len() as u8;
        expect(&in_udp(2152, &[0x30, 255, 0, length, 0, 0, 0, 5], &segment()), Tunnel::Gtp, 5);
        let extended = [0x34, 255, 0, length + 8, 0, 0, 0, 5, 0, 0, 0, 0x85, 1, 0, 9, 0];
        expect(&in_udp(2152, &extended, &segment()), Tunnel::Gtp, 5);
        let echo = decode(RAW, &in_udp(2152, &[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0], &[]));
        assert_eq!((echo.0, echo.1.dst_port), (Outcome::Transport, 2152));
    }

    #[test]
    fn teredo_and_its_indications() {
        let inner = ipv6(6, &sample::tcp(&[], b"hello"));
        expect(&in_udp(3544, &[], &inner), Tunnel::Ipv6InIp, 0);
        expect(&in_udp(3544, &[0, 0, 1, 2, 3, 4, 5, 6], &inner), Tunnel::Ipv6InIp, 0);
        expect(&in_udp(3544, &[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0], &inner), Tunnel::Ipv6InIp, 0);
        let (outcome, bubble) = decode(RAW, &in_udp(3544, &[], &ipv6(59, &[])));
        assert_eq!((outcome, bubble.dst_port, bubble.tunnel), (Outcome::Transport, 3544, Tunnel::None));
    }

    #[test]
    fn gre_in_all_its_forms() {
        let gre = |header: &[u8], inner: &[u8]| ipv4(GRE, &[header, inner].concat());
        let frame = ethernet(0x0800, &segment());
        expect(&gre(&[0, 0, 8, 0], &segment()), Tunnel::Gre, 0);
        expect(&gre(&[0x20, 0, 8, 0, 0, 0, 0, 77], &segment()), Tunnel::Gre, 77);
        expect(&gre(&[0xb0, 0, 8, 0, 1, 1, 0, 0, 0, 0, 0, 77, 0, 0, 0, 1], &segment()), Tunnel::Gre, 77);
        expect(&gre(&[0, 0, 0x65, 0x58], &frame), Tunnel::Gre, 0);
        expect(&gre(&[0x30, 0x81, 0x88, 0x0b, 0, 9, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0x21], &segment()), Tunnel::Gre, 3);
        assert_eq!(decode(RAW, &gre(&[0, 0, 0x90, 0], &frame)).0, Outcome::OtherProtocol(GRE));
    }

    #[test]
    fn erspan_types() {
        let gre = |header: &[u8]| ipv4(GRE, &[header, &ethernet(0x0800, &segment())].concat());
        expect(&gre(&[0, 0, 0x88, 0xbe]), Tunnel::Erspan, 0);
        expect(&gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 5, 0, 0, 0, 0]), Tunnel::Erspan, 5);
        let header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        expect(&gre(&header), Tunnel::Erspan, 5);
        let mut longer = header.to_vec();
        longer[19] = 1;
        longer.extend_from_slice(&[0; 8]);
        expect(&gre(&longer), Tunnel::Erspan, 5);
    }

    #[test]
    fn ip_in_ip() {
        expect(&ipv4(4, &segment()), Tunnel::IpIp, 0);
        expect(&ipv4(41, &ipv6(6, &sample::tcp(&[], b"hello"))), Tunnel::Ipv6InIp, 0);
        assert_eq!(decode(RAW, &ipv4(4, &[0; 30])).0, Outcome::OtherProtocol(4));
    }

    #[test]
    fn what_cannot_be_read_inside_leaves_the_outer_packet() {
        let arp = ethernet(0x0806, &[0; 28]);
        let (outcome, packet) = decode(RAW, &in_udp(4789, &[8, 0, 0, 0, 0, 1, 2, 0], &arp));
        assert_eq!((outcome, packet.dst_port, packet.payload_length), (Outcome::Transport, 4789, 50));
        assert_eq!(packet.tunnel, Tunnel::None);
    }

    #[test]
    fn the_vlan_outside_stays_outermost() {
        let inner = ethernet(0x8100, &[&[0, 9, 8, 0][..], &segment()].concat());
        let outer = in_udp(4789, &[8, 0, 0, 0, 0, 1, 2, 0], &inner);
        let frame = ethernet(0x8100, &[&[0, 5, 8, 0][..], &outer].concat());
        assert_eq!(expect_segment(1, &frame).vlan, 5);
    }
}
