//! One direction of a flow: what it sent, counted and measured.

use super::copies::Copies;
use super::sequence::Holes;
use crate::decode::packet::{NO_PACKET_TYPE, Packet};

/// Marks a time, TTL or number that was never set.
pub const NEVER: i64 = i64::MIN;

/// What a SYN or SYN-ACK announced; the first copy of the first one counts.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    pub isn: u32,
    pub time_ns: i64,
    pub mss: Option<u16>,
    pub window_scale: Option<u8>,
    pub sack_permitted: bool,
    pub layout: u32,
    pub window: u16,
    pub tsval: Option<u32>,
    pub ip_id: u16,
    pub ttl: u8,
}

impl Opening {
    pub fn of(packet: &Packet, time_ns: i64) -> Opening {
        Opening {
            isn: packet.seq,
            time_ns,
            mss: packet.options.mss,
            window_scale: packet.options.window_scale,
            sack_permitted: packet.options.sack_permitted,
            layout: packet.options.layout,
            window: packet.window,
            tsval: packet.options.timestamps.map(|t| t.0),
            ip_id: packet.ip_id,
            ttl: packet.ttl,
        }
    }
}

/// What only a troubled half has; most have none of it, and flows are many.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    pub retransmissions: u32,
    pub fast_retransmissions: u32,
    pub spurious_retransmissions: u32,
    pub duplicates: u32,
    pub out_of_order: u32,
    pub duplicate_acks: u32,
    pub zero_windows: u32,
    pub lost_segments: u32,
    pub acked_unseen: u32,
    pub holes: Holes,
}

/// Counters of one half and the state that TCP analysis needs to go on.
#[derive(Debug, Clone)]
pub struct Half {
    pub packets: u64,
    pub bytes: u64,
    pub payload_bytes: u64,
    pub first_ns: i64,
    pub last_ns: i64,
    pub first_data_ns: i64,
    pub last_data_ns: i64,
    pub payload_digest: u64,
    pub opening: Option<Opening>,
    trouble: Option<Box<Trouble>>,
    copies: Copies,

    /// What a SYN's sequence number is compared with; see [`Half::base_known`].
    pub base_seq: u32,
    /// Lowest sequence number of a segment of this half.
    pub low_seq: u32,
    pub next_seq: u32,
    /// Up to where the other side may acknowledge without having seen more than we did.
    pub contiguous: u32,
    pub last_ack: u32,
    pub highest_ack: u32,
    pub next_seq_ns: i64,
    /// End and length of the longest segment not acknowledged yet.
    pub pending: (u32, u32),
    pub sack: Option<(u32, u32)>,
    pub max_segment: u32,
    pub max_acked_segment: u32,
    /// Packets that the snap length cut.
    pub truncated: u32,
    pub syns: u32,
    pub resets: u32,
    pub fins: u32,
    pub window: u16,
    pub duplicate_ack_run: u16,

    pub ttl_min: u8,
    pub ttl_max: u8,
    pub packet_types: u8,
    pub base_known: bool,
    /// A segment of this half was seen, so `next_seq` means something.
    pub sequenced: bool,
    pub contiguous_known: bool,
    pub acked: bool,
    pub last_was_keep_alive: bool,
    pub last_was_window_probe: bool,
}

impl Default for Half {
    fn default() -> Self {
        Half::SILENT
    }
}

impl Half {
    /// A half that sent nothing.
    pub const SILENT: Half = Half {
        packets: 0,
        bytes: 0,
        payload_bytes: 0,
        first_ns: NEVER,
        last_ns: NEVER,
        first_data_ns: NEVER,
        last_data_ns: NEVER,
        payload_digest: 0,
        opening: None,
        trouble: None,
        copies: Copies::NONE,
        base_seq: 0,
        low_seq: 0,
        next_seq: 0,
        contiguous: 0,
        last_ack: 0,
        highest_ack: 0,
        next_seq_ns: NEVER,
        pending: (0, 0),
        sack: None,
        max_segment: 0,
        max_acked_segment: 0,
        truncated: 0,
        syns: 0,
        resets: 0,
        fins: 0,
        window: 0,
        duplicate_ack_run: 0,
        ttl_min: 0,
        ttl_max: 0,
        packet_types: 0,
        base_known: false,
        sequenced: false,
        contiguous_known: false,
        acked: false,
        last_was_keep_alive: false,
        last_was_window_probe: false,
    };

    /// Counts one packet of any protocol.
    #[inline]
    pub fn count(&mut self, packet: &Packet, wire_length: u32, time_ns: i64) {
        if self.packets == 0 {
            self.first_ns = time_ns;
            self.last_ns = time_ns;
            self.ttl_min = packet.ttl;
            self.ttl_max = packet.ttl;
        } else {
            // Captures of several interfaces are not always in time order.
            self.first_ns = self.first_ns.min(time_ns);
            self.last_ns = self.last_ns.max(time_ns);
            self.ttl_min = self.ttl_min.min(packet.ttl);
            self.ttl_max = self.ttl_max.max(packet.ttl);
        }
        self.packets += 1;
        self.bytes += u64::from(wire_length);
        if packet.packet_type != NO_PACKET_TYPE {
            self.packet_types |= 1 << packet.packet_type.min(7);
        }
        if packet.payload_length > 0 {
            self.payload_bytes += u64::from(packet.payload_length);
            self.max_segment = self.max_segment.max(packet.payload_length);
            if self.first_data_ns == NEVER {
                self.first_data_ns = time_ns;
            }
            self.last_data_ns = time_ns;
        }
    }

    /// True when this very packet was captured before: `-i any`, both sides of a router, a mirror port.
    pub fn captured_before(&self, packet: &Packet) -> bool {
        self.copies.contain(packet)
    }

    /// Keeps what [`Half::captured_before`] compares.
    #[inline]
    pub fn remember(&mut self, packet: &Packet) {
        // The segment after a SYN takes its place, unless that was repeated.
        let after_syn = self.opening.is_some() && self.packets <= 3 && packet.payload_length > 0;
        self.copies.remember(packet, after_syn);
    }

    /// What went wrong in this half, to be counted on.
    #[inline]
    pub fn troubled(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// What went wrong in this half, if anything did.
    #[inline]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_deref()
    }

    /// The part of the sequence space that was not seen, if there is one.
    #[inline]
    pub fn holes(&self) -> Option<&Holes> {
        self.trouble.as_ref().map(|trouble| &trouble.holes).filter(|holes| !holes.is_empty())
    }

    /// Distinct payload bytes seen, by sequence number.
    pub fn covered_bytes(&self) -> u64 {
        if !self.sequenced {
            return 0;
        }
        let controls = u64::from(self.opening.is_some()) + u64::from(self.fins > 0);
        u64::from(self.next_seq.wrapping_sub(self.low_seq))
            .saturating_sub(self.trouble().map_or(0, |trouble| trouble.holes.bytes()))
            .saturating_sub(controls)
    }
}
