//! Copies of one packet in a capture: `-i any`, both sides of a router, a mirror port.

use crate::decode::packet::Packet;

/// Copies of a packet are looked for among this many packets before it (same half, same flow).
const REMEMBERED: usize = 8;
/// So many of them need no memory of their own.
const FEW: usize = 3;

/// Identities of the last packets of a half that sent something.
#[derive(Debug, Clone)]
pub struct Copies {
    /// Once there are more than a few.
    last: Option<Box<Last>>,
    first: First,
}

/// The first few, in the half itself; most halves have no more.
#[derive(Debug, Clone)]
struct First {
    identities: [u32; FEW],
    how: [u8; FEW],
    count: u8,
}

#[derive(Debug, Clone, Default)]
struct Last {
    identities: [u32; REMEMBERED],
    /// How each was captured: TTL, packet type, interface.
    how: [u8; REMEMBERED],
    at: u8,
}

impl Last {
    fn push(&mut self, (identity, how): (u32, u8)) {
        let at = usize::from(self.at) % REMEMBERED;
        self.identities[at] = identity;
        self.how[at] = how;
        self.at = self.at.wrapping_add(1);
    }
}

impl Copies {
    /// Nothing was sent yet.
    pub const NONE: Copies = Copies { last: None, first: First { identities: [0; FEW], how: [0; FEW], count: 0 } };

    /// True when this very packet is among them.
    ///
    /// A repeat by TCP has a new IP identification, or new timestamps. Where the identification is 0 (atomic
    /// datagrams, RFC 6864) and there is nothing else to tell them apart, only another TTL, packet type or
    /// interface makes it a copy.
    pub fn contain(&self, packet: &Packet) -> bool {
        let (identity, how) = identity(packet);
        let numbered = packet.ip_id != 0;
        let same = |seen: u32, seen_how: u8| seen == identity && (numbered || seen_how != how);
        let (identities, hows) = match &self.last {
            None => {
                let count = usize::from(self.first.count);
                (&self.first.identities[..count], &self.first.how[..count])
            }
            Some(all) => (&all.identities[..], &all.how[..]),
        };
        identities.iter().zip(hows).any(|(&seen, &seen_how)| same(seen, seen_how))
    }

    /// Adds a packet; `instead` of the only one, when there is but one.
    #[inline]
    pub fn remember(&mut self, packet: &Packet, instead: bool) {
        let latest = identity(packet);
        if let Some(all) = &mut self.last {
            all.push(latest);
            return;
        }
        let first = &mut self.first;
        let at = if instead && first.count == 1 { 0 } else { usize::from(first.count) };
        if at < FEW {
            (first.identities[at], first.how[at]) = latest;
            first.count = at as u8 + 1;
        } else {
            let mut all = Box::<Last>::default();
            first.identities.into_iter().zip(first.how).for_each(|one| all.push(one));
            all.push(latest);
            self.last = Some(all);
        }
    }
}

#[inline]
fn identity(packet: &Packet) -> (u32, u8) {
    let (tsval, tsecr) = packet.options.timestamps.unwrap_or((0, 0));
    let mut state = u64::from(packet.seq) << 32 | u64::from(packet.ack);
    state = fold(state, u64::from(tsval) << 32 | u64::from(tsecr));
    state = fold(
        state,
        u64::from(packet.ip_id) << 48
            | u64::from(packet.window) << 32
            | u64::from(packet.flags) << 24
            | u64::from(packet.payload_length & 0x00ff_ffff),
    );
    let how = packet.ttl.wrapping_mul(31) ^ packet.packet_type.wrapping_mul(7) ^ packet.interface_index as u8;
    ((state as u32 ^ (state >> 32) as u32).max(1), how)
}

#[inline]
fn fold(state: u64, word: u64) -> u64 {
    (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(ip_id: u16, ttl: u8, tsval: u32) -> Packet {
        let mut packet = Packet { seq: 7, ip_id, ttl, payload_length: 10, ..Packet::default() };
        packet.options.timestamps = Some((tsval, 1));
        packet
    }

    #[test]
    fn a_copy_is_told_from_a_repeat() {
        let mut copies = Copies::NONE;
        copies.remember(&segment(5, 64, 100), false);
        assert!(copies.contain(&segment(5, 63, 100)), "same packet one hop further");
        assert!(!copies.contain(&segment(6, 64, 100)), "another IP identification");
        assert!(!copies.contain(&segment(5, 64, 300)), "another timestamp");
        copies.remember(&segment(0, 64, 100), false);
        assert!(!copies.contain(&segment(0, 64, 100)), "atomic datagram, nothing tells the two apart");
        assert!(copies.contain(&segment(0, 63, 100)));
    }
}
