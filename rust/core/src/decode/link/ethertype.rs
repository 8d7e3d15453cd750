//! EtherTypes (IANA IEEE 802 numbers) and the tags that stand before them: VLAN, VN-Tag, PBB.

use super::super::layer::Layer;
use super::super::net;
use super::super::packet::{NO_VLAN, Outcome, Packet};
use super::super::tunnel;
use super::{ethernet, mpls, pppoe};

pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const VLAN: u16 = 0x8100;
pub(super) const IPV6: u16 = 0x86dd;
pub(super) const MPLS: u16 = 0x8847;
pub(super) const VLAN_AD: u16 = 0x88a8;

const MPLS_MULTICAST: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;
/// Network service header.
const NSH: u16 = 0x894f;
/// IEEE 802.1ah, MAC in MAC: a service tag, then a whole Ethernet frame.
const PBB: u16 = 0x88e7;
/// Cisco VN-Tag, the forerunner of IEEE 802.1BR.
const VN_TAG: u16 = 0x8926;
/// Stacked VLANs before 802.1ad had a number.
const VLAN_QINQ: [u16; 2] = [0x9100, 0x9200];

/// More tags than any network stacks.
const MOST_TAGS: usize = 16;

/// Decodes what follows an EtherType.
pub(in super::super) fn ethertype(mut kind: u16, mut layer: Layer, packet: &mut Packet) -> Outcome {
    for _ in 0..MOST_TAGS {
        let tag = match kind {
            IPV4 => return net::ipv4::decode(layer, packet),
            IPV6 => return net::ipv6::decode(layer, packet),
            MPLS | MPLS_MULTICAST => return mpls::decode(layer, packet),
            PPPOE_SESSION => return pppoe::decode(layer, packet),
            NSH => return tunnel::nsh::decode(layer, packet),
            PBB => return service_frame(layer, packet),
            VLAN | VLAN_AD | VN_TAG => kind,
            _ if VLAN_QINQ.contains(&kind) => kind,
            _ => return Outcome::NotIp(kind),
        };
        let length = if tag == VN_TAG { 6 } else { 4 };
        let Some(rest) = layer.skip(length) else {
            return layer.bad("vlan-tag-cut", "vlan", length);
        };
        let Some(&[high, low, type_high, type_low]) = layer.head() else {
            return layer.bad("vlan-tag-cut", "vlan", length);
        };
        if tag != VN_TAG {
            if packet.vlan == NO_VLAN {
                packet.vlan = u16::from_be_bytes([high, low]) & 0x0fff;
            }
            kind = u16::from_be_bytes([type_high, type_low]);
        } else if let Some(&[_, _, _, _, type_high, type_low]) = layer.head() {
            kind = u16::from_be_bytes([type_high, type_low]);
        }
        layer = rest;
    }
    layer.too_deep()
}

fn service_frame(layer: Layer, packet: &mut Packet) -> Outcome {
    match layer.skip(4).map(Layer::deeper) {
        Some(Some(frame)) => ethernet::decode(frame, packet),
        Some(None) => layer.too_deep(),
        None => layer.bad("pbb-tag-cut", "pbb", 4),
    }
}
