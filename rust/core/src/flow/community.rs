//! Community ID version 1: a hash of the 5-tuple that other tools compute alike
//! (corelight/community-id-spec, seed 0).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::record::Flow;
use crate::decode::packet::protocol;
use crate::table::addresses::address;
use std::net::IpAddr;

/// The flow's Community ID, or None for protocols that flowscope does not map.
pub fn community_id(flow: &Flow) -> Option<String> {
    let number = flow.key.protocol();
    let [mut a, mut b] = flow.endpoints();
    // ICMP echo has its type and its answer's type in place of ports.
    match number {
        protocol::ICMP => (a.1, b.1) = (8, 0),
        protocol::ICMPV6 => (a.1, b.1) = (128, 129),
        _ => {}
    }
    let bytes = |ip: [u8; 16]| match address(ip) {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let (mut low, mut high) = ((bytes(a.0), a.1), (bytes(b.0), b.1));
    if low > high {
        std::mem::swap(&mut low, &mut high);
    }
    let mut hash = sha1_smol::Sha1::new();
    hash.update(&0u16.to_be_bytes());
    hash.update(&low.0);
    hash.update(&high.0);
    hash.update(&[number, 0]);
    hash.update(&low.1.to_be_bytes());
    hash.update(&high.1.to_be_bytes());
    Some(format!("1:{}", STANDARD.encode(hash.digest().bytes())))
}
