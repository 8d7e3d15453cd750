//! The flow key: a 5-tuple and the point where it was seen, the same for both directions.

use std::hash::{Hash, Hasher};

use crate::decode::packet::{Packet, Quoted};

/// One flow's identity. `low` and `high` are the two endpoints in byte order, so both directions give the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    low: [u8; 16],
    high: [u8; 16],
    low_port: u16,
    high_port: u16,
    point: u32,
    protocol: u8,
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.low));
        state.write_u128(u128::from_ne_bytes(self.high));
        state.write_u64(
            u64::from(self.low_port) << 48
                | u64::from(self.high_port) << 32
                | u64::from(self.point & 0x00ff_ffff) << 8
                | u64::from(self.protocol),
        );
    }
}

impl Key {
    /// The key of a packet, and true when the packet goes from `low` to `high`.
    #[inline]
    pub fn of(point: u32, packet: &Packet) -> (Key, bool) {
        Key::new(point, packet.protocol, (packet.src, packet.src_port), (packet.dst, packet.dst_port))
    }

    /// The key of the packet that an ICMP error quotes.
    pub fn of_quoted(point: u32, quoted: &Quoted) -> (Key, bool) {
        Key::new(point, quoted.protocol, (quoted.src, quoted.src_port), (quoted.dst, quoted.dst_port))
    }

    #[inline]
    fn new(point: u32, protocol: u8, from: ([u8; 16], u16), to: ([u8; 16], u16)) -> (Key, bool) {
        let a = (u128::from_be_bytes(from.0), from.1);
        let b = (u128::from_be_bytes(to.0), to.1);
        let upward = a <= b;
        let (low, high) = if upward { (from, to) } else { (to, from) };
        let key = Key { low: low.0, high: high.0, low_port: low.1, high_port: high.1, point, protocol };
        (key, upward)
    }

    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    pub fn point(&self) -> u32 {
        self.point
    }

    /// Address and port of the lower endpoint.
    pub fn low(&self) -> ([u8; 16], u16) {
        (self.low, self.low_port)
    }

    /// Address and port of the higher endpoint.
    pub fn high(&self) -> ([u8; 16], u16) {
        (self.high, self.high_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_share_a_key() {
        let mut there =
            Packet { src: [1; 16], dst: [2; 16], src_port: 9, dst_port: 80, protocol: 6, ..Packet::default() };
        let (key, upward) = Key::of(3, &there);
        std::mem::swap(&mut there.src, &mut there.dst);
        std::mem::swap(&mut there.src_port, &mut there.dst_port);
        assert_eq!(Key::of(3, &there), (key, !upward));
        assert_ne!(Key::of(4, &there).0, key);
    }
}
