//! Link layers, by the `LINKTYPE_` number of the capture file.

mod cisco_hdlc;
pub(super) mod ethernet;
mod ethertype;
mod fddi;
mod linux_cooked;
mod llc;
mod loopback;
pub(super) mod mpls;
pub(super) mod ppp;
mod pppoe;
mod token_ring;

pub(super) use ethertype::ethertype;

use super::layer::Layer;
use super::net;
use super::packet::{Outcome, Packet};

const NULL: u16 = 0;
const ETHERNET: u16 = 1;
const TOKEN_RING: u16 = 6;
const PPP: u16 = 9;
const FDDI: u16 = 10;
/// What BSD (12) and OpenBSD (14) call raw IP in their own files.
const RAW_BSD: u16 = 12;
const RAW_OPENBSD: u16 = 14;
const PPP_HDLC: u16 = 50;
const RAW: u16 = 101;
const CISCO_HDLC: u16 = 104;
const LOOP: u16 = 108;
const LINUX_SLL: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const LINUX_SLL2: u16 = 276;

#[inline]
pub(super) fn decode(link_type: u16, layer: Layer, packet: &mut Packet) -> Outcome {
    match link_type {
        ETHERNET => ethernet::decode(layer, packet),
        LINUX_SLL => linux_cooked::decode_v1(layer, packet),
        LINUX_SLL2 => linux_cooked::decode_v2(layer, packet),
        NULL | LOOP => loopback::decode(layer, packet),
        RAW | RAW_BSD | RAW_OPENBSD => net::by_version(layer, packet),
        IPV4 => net::ipv4::decode(layer, packet),
        IPV6 => net::ipv6::decode(layer, packet),
        PPP => ppp::decode(layer, packet),
        PPP_HDLC => ppp::decode_hdlc(layer, packet),
        CISCO_HDLC => cisco_hdlc::decode(layer, packet),
        FDDI => fddi::decode(layer, packet),
        TOKEN_RING => token_ring::decode(layer, packet),
        _ => Outcome::UnknownLink,
    }
}
