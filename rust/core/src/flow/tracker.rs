//! Packets to flows: one flow per 5-tuple, incarnation and point.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::addresses::Addresses;
use super::events::{Event, EventLog, FrameRef, IcmpError, Kind};
use super::key::Key;
use super::record::Flow;
use super::segment::{note, segment, starts_anew};
use crate::decode::packet::{Packet, Quoted, protocol};
use crate::message::{self, MESSAGES_PER_HALF, Mark, Message};

/// Flows per block of memory; blocks never move, so growth copies nothing.
const BLOCK: usize = 4096;

/// What the tracker is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Parse application messages.
    pub messages: bool,
}

/// A message and where it belongs.
#[derive(Debug)]
pub struct FlowMessage {
    pub flow: u64,
    pub half: u8,
    pub message: Message,
}

/// Where a key's newest flow is. Half of the hash is enough to tell keys apart before they are compared, and halves
/// the memory that every packet of another flow has to reach.
struct Slot {
    hash: u32,
    flow: u32,
}

/// The hash that the table works with: it takes its buckets from the low bits and its tags from the high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// All flows of all points.
pub struct Tracker {
    options: Options,
    /// The newest incarnation of each key. Seeded per run: a crafted capture must not be able to choose its buckets.
    newest: HashTable<Slot>,
    hasher: foldhash::fast::RandomState,
    blocks: Vec<Vec<Flow>>,
    /// Flows in the blocks.
    count: usize,
    /// Flows that ever were; the number of the next one.
    started: u32,
    /// Some flows may be unchanged, since they were written before.
    written: bool,
    pub addresses: Addresses,
    pub events: EventLog,
    pub messages: Vec<FlowMessage>,
    /// ICMP errors whose quoted packet belongs to no flow of their point.
    pub unmatched_errors: u64,
}

impl Tracker {
    pub fn new(options: Options) -> Tracker {
        Tracker {
            options,
            newest: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            blocks: Vec::new(),
            count: 0,
            started: 0,
            written: false,
            addresses: Addresses::default(),
            events: EventLog::default(),
            messages: Vec::new(),
            unmatched_errors: 0,
        }
    }

    /// Number of flows so far.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes one decoded packet seen at `point`.
    pub fn packet(&mut self, point: u32, packet: &Packet, payload: &[u8], at: FrameRef, wire_length: u32, cut: bool) {
        if let Some(quoted) = &packet.quoted {
            self.icmp_error(point, packet, quoted, at);
            return;
        }
        if is_icmp(packet.protocol) && !is_echo(packet) {
            return;
        }
        let (key, upward) = Key::of(point, packet);
        let index = self.find_or_start(key, upward, packet, at);
        let flow = &mut self.blocks[index / BLOCK][index % BLOCK];
        flow.changed = true;
        flow.last = at.into();
        let half = flow.half_of(upward);
        let own = flow.half_mut(half);
        own.count(packet, wire_length, at.time_ns);
        own.truncated += u32::from(cut);
        if packet.protocol == protocol::TCP {
            segment(flow, half, packet, payload, at, &mut self.events);
            if self.options.messages {
                flow.read(half, packet, payload, at, &mut self.messages);
            }
        } else {
            flow.history.datagram(half);
            if packet.payload_length > 0 {
                note(flow, Kind::Data, half, packet, payload, at, &mut self.events);
                if packet.protocol == protocol::UDP && self.options.messages {
                    datagram(flow, half, packet, payload, at, &mut self.messages);
                }
            }
        }
    }

    fn find_or_start(&mut self, key: Key, upward: bool, packet: &Packet, at: FrameRef) -> usize {
        let hash = self.hasher.hash_one(key) as u32;
        let blocks = &self.blocks;
        let found = self.newest.find_mut(spread(hash), |slot| {
            slot.hash == hash && blocks[slot.flow as usize / BLOCK][slot.flow as usize % BLOCK].key == key
        });
        if let Some(slot) = found {
            let flow = &blocks[slot.flow as usize / BLOCK][slot.flow as usize % BLOCK];
            if !starts_anew(flow, upward, packet) {
                return slot.flow as usize;
            }
            slot.flow = self.count as u32;
        } else {
            let slot = Slot { hash, flow: self.count as u32 };
            self.newest.insert_unique(spread(hash), slot, |slot| spread(slot.hash));
        }
        let flow = Flow::new(self.started, key, upward, packet, at);
        self.started = self.started.wrapping_add(1);
        self.keep(flow)
    }

    /// Puts a flow behind the others; returns where it is.
    fn keep(&mut self, flow: Flow) -> usize {
        let index = self.count;
        if index.is_multiple_of(BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        self.blocks[index / BLOCK].push(flow);
        self.count += 1;
        index
    }

    /// Drops unchanged flows: closed ones without a packet since `closed_ns`, others since `silent_ns`; returns how many
    /// are left. Those that stay move together, in order, and are looked up anew.
    pub fn forget(&mut self, closed_ns: i64, silent_ns: i64) -> usize {
        let old = std::mem::take(&mut self.blocks);
        self.newest = HashTable::new();
        self.count = 0;
        for mut flow in old.into_iter().flatten() {
            let last_ns = flow.half(0).last_ns.max(flow.half(1).last_ns);
            let closed = flow.history.closed();
            if !flow.changed && last_ns < if closed { closed_ns } else { silent_ns } {
                flow.conversation.end(u64::from(flow.number), closed, &mut self.messages);
                continue;
            }
            let (key, hash) = (flow.key, self.hasher.hash_one(flow.key) as u32);
            let index = self.keep(flow);
            let blocks = &self.blocks;
            let found = self.newest.find_mut(spread(hash), |slot| {
                slot.hash == hash && blocks[slot.flow as usize / BLOCK][slot.flow as usize % BLOCK].key == key
            });
            match found {
                Some(slot) => slot.flow = index as u32,
                None => {
                    self.newest
                        .insert_unique(spread(hash), Slot { hash, flow: index as u32 }, |slot| spread(slot.hash));
                }
            }
        }
        self.count
    }

    /// Ties an ICMP error to the flow whose packet it quotes, at the same point.
    fn icmp_error(&mut self, point: u32, packet: &Packet, quoted: &Quoted, at: FrameRef) {
        let (key, upward) = Key::of_quoted(point, quoted);
        let hash = self.hasher.hash_one(key) as u32;
        let blocks = &self.blocks;
        let found = self.newest.find(spread(hash), |slot| {
            slot.hash == hash && blocks[slot.flow as usize / BLOCK][slot.flow as usize % BLOCK].key == key
        });
        let Some(slot) = found else {
            self.unmatched_errors += 1;
            return;
        };
        let peer = self.addresses.number(packet.src);
        let index = slot.flow as usize;
        let flow = &mut self.blocks[index / BLOCK][index % BLOCK];
        flow.changed = true;
        flow.icmp_errors += 1;
        let half = flow.half_of(upward) as u8;
        let about = Packet { seq: quoted.seq.unwrap_or(0), ..*packet };
        let error = Some(IcmpError { peer, icmp: u16::from(packet.icmp_type) << 8 | u16::from(packet.icmp_code) });
        let event = Event {
            flow: u64::from(flow.number),
            kind: Kind::IcmpError,
            half,
            at,
            packet: &about,
            payload: &[],
            error,
        };
        self.events.add(event, &mut flow.event_counts);
    }

    /// Number of flows that changed since they were last written.
    pub fn changed(&self) -> usize {
        if self.written { self.blocks.iter().flatten().filter(|flow| flow.changed).count() } else { self.count }
    }

    /// Hands every run of changed flows to `write`; they are unchanged then.
    pub fn write_changed(&mut self, mut write: impl FnMut(&[Flow], &mut Addresses)) {
        self.written = true;
        for block in &mut self.blocks {
            for run in block.chunk_by_mut(|a, b| a.changed == b.changed).filter(|run| run[0].changed) {
                write(run, &mut self.addresses);
                run.iter_mut().for_each(|flow| flow.changed = false);
            }
        }
    }

    /// The same for the last time: the messages that are still being read end, and every flow is forgotten once it is
    /// written, so that its memory serves the rows.
    pub fn write_last(&mut self, mut write: impl FnMut(&[Flow], &mut Addresses)) {
        self.newest = HashTable::new();
        self.count = 0;
        for mut block in std::mem::take(&mut self.blocks) {
            for flow in &mut block {
                let closed = flow.history.closed();
                flow.conversation.end(u64::from(flow.number), closed, &mut self.messages);
            }
            for run in block.chunk_by(|a, b| a.changed == b.changed).filter(|run| run[0].changed) {
                write(run, &mut self.addresses);
            }
        }
    }
}

/// The message in a datagram of a flow; like connections, a flow has so many of them kept.
fn datagram(flow: &Flow, half: usize, packet: &Packet, payload: &[u8], at: FrameRef, messages: &mut Vec<FlowMessage>) {
    if flow.half(half).packets > u64::from(MESSAGES_PER_HALF) {
        return;
    }
    let mark = Mark { capture: at.capture, frame: at.frame, time_ns: at.time_ns };
    if let Some(message) = message::datagram(payload, packet.payload_length, mark) {
        messages.push(FlowMessage { flow: u64::from(flow.number), half: half as u8, message });
    }
}

fn is_icmp(number: u8) -> bool {
    number == protocol::ICMP || number == protocol::ICMPV6
}

fn is_echo(packet: &Packet) -> bool {
    match packet.protocol {
        protocol::ICMP => matches!(packet.icmp_type, 0 | 8),
        _ => matches!(packet.icmp_type, 128 | 129),
    }
}
