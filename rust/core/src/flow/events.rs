//! The packets a rule may cite, kept by column: the first few of each kind and the last two, the rest counted.

use hashbrown::HashMap;

use super::digest::digest;
use crate::decode::packet::Packet;

/// Kinds of events; the numbers stand in the table and in `flowscope.tables.EVENT_KINDS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Syn = 0,
    SynAck = 1,
    Rst = 2,
    Fin = 3,
    ChallengeAck = 4,
    IcmpError = 5,
    Retransmission = 6,
    Gap = 7,
    Data = 8,
    ZeroWindow = 9,
}

/// Number of kinds.
pub const KINDS: usize = 10;

/// Per flow, half and kind the first so many are kept ...
const FIRST: u8 = 8;
/// ... of data only these, since every flow has data: four overtaking segments still join two mid-stream legs.
const FIRST_DATA: u8 = 4;

/// Which frame an event or a flow's end refers to.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameRef {
    pub capture: u32,
    pub frame: u64,
    pub offset: u64,
    pub time_ns: i64,
}

/// A column that is mostly zero; it takes no memory until the first other value.
#[derive(Debug, Default)]
pub struct Sparse {
    /// Rows beyond the last are zero.
    pub values: Vec<u32>,
}

impl Sparse {
    #[inline]
    fn push(&mut self, row: usize, value: u32) {
        if value != 0 || !self.values.is_empty() {
            self.values.resize(row, 0);
            self.values.push(value);
        }
    }

    fn set(&mut self, row: usize, value: u32) {
        if let Some(old) = self.values.get_mut(row) {
            *old = value;
        } else {
            self.push(row, value);
        }
    }
}

/// Events by column.
#[derive(Debug, Default)]
pub struct Events {
    pub flow: Vec<u64>,
    pub kind: Vec<u8>,
    pub half: Vec<u8>,
    pub capture: Sparse,
    pub frame: Vec<u64>,
    pub offset: Vec<u64>,
    pub time_ns: Vec<i64>,
    pub seq: Vec<u32>,
    pub ack: Vec<u32>,
    pub length: Vec<u32>,
    pub flags: Vec<u8>,
    pub window: Vec<u16>,
    pub ttl: Vec<u8>,
    pub ip_id: Vec<u16>,
    pub tsval: Vec<u32>,
    pub packet_type: Vec<u8>,
    pub interface: Sparse,
    pub digest: Vec<u64>,
    /// The ICMP errors by row.
    pub errors: Vec<(usize, IcmpError)>,
}

/// What only an ICMP error has.
#[derive(Debug, Clone, Copy)]
pub struct IcmpError {
    /// Address number of its sender.
    pub peer: u32,
    /// Type and code.
    pub icmp: u16,
}

impl Events {
    pub fn len(&self) -> usize {
        self.flow.len()
    }

    pub fn is_empty(&self) -> bool {
        self.flow.is_empty()
    }
}

/// One packet as an event.
pub struct Event<'a> {
    pub flow: u64,
    pub kind: Kind,
    pub half: u8,
    pub at: FrameRef,
    pub packet: &'a Packet,
    pub payload: &'a [u8],
    pub error: Option<IcmpError>,
}

/// How many events of each kind a flow had, by half; saturating.
pub type Counts = [[u8; KINDS]; 2];

/// Takes events, keeps the first and the last of each flow, half and kind.
#[derive(Debug, Default)]
pub struct EventLog {
    rows: Events,
    /// Rows that hold the last two events of a (flow, half, kind) that had more than the first few.
    last: HashMap<(u64, u8, u8), [usize; 2], foldhash::fast::RandomState>,
}

impl EventLog {
    /// Notes one event. `counts` belongs to its flow.
    #[inline]
    pub fn add(&mut self, event: Event<'_>, counts: &mut Counts) {
        let count = &mut counts[usize::from(event.half)][event.kind as usize];
        let seen = *count;
        *count = count.saturating_add(1);
        if event.kind == Kind::Data {
            if seen < FIRST_DATA {
                self.push(event);
            }
        } else if seen < FIRST {
            self.push(event);
        } else {
            self.rotate(event);
        }
    }

    fn rotate(&mut self, event: Event<'_>) {
        let key = (event.flow, event.half, event.kind as u8);
        let next = self.rows.len();
        match self.last.get_mut(&key) {
            None => {
                self.last.insert(key, [usize::MAX, next]);
                self.push(event);
            }
            Some(slots) => {
                let oldest = slots[0];
                *slots = [slots[1], if oldest == usize::MAX { next } else { oldest }];
                if oldest == usize::MAX { self.push(event) } else { self.set(oldest, event) }
            }
        }
    }

    fn push(&mut self, event: Event<'_>) {
        let rows = &mut self.rows;
        let (at, packet, row) = (event.at, event.packet, rows.len());
        rows.capture.push(row, at.capture);
        rows.interface.push(row, packet.interface_index);
        rows.errors.extend(event.error.map(|error| (row, error)));
        rows.flow.push(event.flow);
        rows.kind.push(event.kind as u8);
        rows.half.push(event.half);
        rows.frame.push(at.frame);
        rows.offset.push(at.offset);
        rows.time_ns.push(at.time_ns);
        rows.seq.push(packet.seq);
        rows.ack.push(packet.ack);
        rows.length.push(packet.payload_length);
        rows.flags.push(packet.flags);
        rows.window.push(packet.window);
        rows.ttl.push(packet.ttl);
        rows.ip_id.push(packet.ip_id);
        rows.tsval.push(packet.options.timestamps.map_or(0, |t| t.0));
        rows.packet_type.push(packet.packet_type);
        rows.digest.push(digest(event.payload));
    }

    fn set(&mut self, row: usize, event: Event<'_>) {
        let rows = &mut self.rows;
        let (at, packet) = (event.at, event.packet);
        rows.capture.set(row, at.capture);
        rows.frame[row] = at.frame;
        rows.offset[row] = at.offset;
        rows.time_ns[row] = at.time_ns;
        rows.seq[row] = packet.seq;
        rows.ack[row] = packet.ack;
        rows.length[row] = packet.payload_length;
        rows.flags[row] = packet.flags;
        rows.window[row] = packet.window;
        rows.ttl[row] = packet.ttl;
        rows.ip_id[row] = packet.ip_id;
        rows.tsval[row] = packet.options.timestamps.map_or(0, |t| t.0);
        rows.packet_type[row] = packet.packet_type;
        rows.interface.set(row, packet.interface_index);
        rows.digest[row] = digest(event.payload);
        if let (Some(error), Ok(at)) = (event.error, rows.errors.binary_search_by_key(&row, |error| error.0)) {
            rows.errors[at].1 = error;
        }
    }

    /// Hands the rows over; later events of the same flows start new "last" rows.
    pub fn take(&mut self) -> Events {
        self.last.clear();
        std::mem::take(&mut self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_eight_and_last_two() {
        let mut log = EventLog::default();
        let mut counts = Counts::default();
        let packet = Packet::default();
        for frame in 1..=100 {
            let at = FrameRef { frame, ..FrameRef::default() };
            log.add(
                Event { flow: 1, kind: Kind::Rst, half: 0, at, packet: &packet, payload: &[], error: None },
                &mut counts,
            );
        }
        let mut frames = log.take().frame;
        frames.sort_unstable();
        assert_eq!(frames, [1, 2, 3, 4, 5, 6, 7, 8, 99, 100]);
    }
}
