//! The pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces and the three kinds of packet blocks.

use super::Interface;
use super::byte_order::ByteOrder;
use super::pcapng_option::{Clock, Labels, interface_options, statistics_options};
use super::step::{LONGEST_FRAME, Log, Step};

pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
/// The obsolete Packet Block, which still turns up in old files.
pub(super) const PACKET: u32 = 2;
pub(super) const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
pub(super) const ENHANCED_PACKET: u32 = 6;

/// Type, length, and length again at the end.
pub(super) const SHORTEST_BLOCK: u32 = 12;
/// The longest frame and room for its options.
pub(super) const LONGEST_BLOCK: u32 = LONGEST_FRAME + 256 * 1024;

/// Parser of the blocks of one pcapng file.
pub(super) struct Pcapng {
    order: ByteOrder,
    /// Where the interfaces of the current section start in the list of the whole file.
    section_start: usize,
    clocks: Vec<Clock>,
    last_time_ns: i64,
    /// The block before contradicted itself, so an unknown one now means that the way is lost.
    doubtful: bool,
}

/// The byte order of the section whose first twelve bytes these are.
pub(super) fn section_order(start: &[u8; 12]) -> Option<ByteOrder> {
    let [.., m0, m1, m2, m3] = *start;
    [ByteOrder::Little, ByteOrder::Big].into_iter().find(|order| order.u32([m0, m1, m2, m3]) == BYTE_ORDER_MAGIC)
}

impl Pcapng {
    pub(super) fn new(order: ByteOrder) -> Self {
        Pcapng { order, section_start: 0, clocks: Vec::new(), last_time_ns: 0, doubtful: false }
    }

    #[inline]
    pub(super) fn step<'a>(&mut self, bytes: &'a [u8], interfaces: &mut Vec<Interface>, log: &mut Log) -> Step<'a> {
        let Some(start @ &[t0, t1, t2, t3, l0, l1, l2, l3, ..]) = bytes.first_chunk::<12>() else {
            return Step::Need(12);
        };
        let mut order = self.order;
        let mut kind = order.u32([t0, t1, t2, t3]);
        if [t0, t1, t2, t3] == MAGIC {
            kind = SECTION_HEADER;
            match section_order(start) {
                Some(found) => order = found,
                None => return Step::Damaged(String::from("the section header has no byte-order magic")),
            }
        }
        let length = order.u32([l0, l1, l2, l3]);
        if !(SHORTEST_BLOCK..=LONGEST_BLOCK).contains(&length) {
            return Step::Damaged(format!("a block of type {kind:#x} claims to be {length} bytes long"));
        }
        let known = matches!(
            kind,
            SECTION_HEADER | INTERFACE_DESCRIPTION | PACKET | SIMPLE_PACKET | INTERFACE_STATISTICS | ENHANCED_PACKET
        );
        if self.doubtful && !known && !matches!(kind, 4 | 9 | 10 | 0xbad | 0x4000_0bad) {
            return Step::Damaged(format!("no block starts here: {kind:#x} is no known block type"));
        }
        let odd = !length.is_multiple_of(4);
        if !known {
            // Its end may be far away, so what is there is not looked at.
            self.doubtful |= odd;
            return Step::Skip { size: u64::from(length) };
        }
        let Some(block) = bytes.get(..length as usize) else {
            return Step::Need(length as usize);
        };
        let (body, trailer) = block.get(8..).and_then(|rest| rest.split_last_chunk()).unwrap_or((&[], &[0; 4]));
        let repeated = order.u32(*trailer);
        self.doubtful = repeated != length || odd;
        if repeated != length {
            log.add("damaged-block", || {
                format!("the block is {length} bytes long at its start, {repeated} at its end")
            });
        } else if odd {
            log.add("damaged-block", || format!("the block is {length} bytes long, which is no multiple of 4"));
        }
        let size = block.len();
        self.order = order;
        match kind {
            SECTION_HEADER => self.section(body, size, interfaces),
            INTERFACE_DESCRIPTION => self.interface(body, size, interfaces),
            ENHANCED_PACKET => self.enhanced_packet(body, size, interfaces, log),
            INTERFACE_STATISTICS => self.statistics(body, size, interfaces),
            PACKET => self.packet(body, size, interfaces, log),
            _ => self.simple_packet(body, size, interfaces, log),
        }
    }

    fn section<'a>(&mut self, body: &[u8], size: usize, interfaces: &[Interface]) -> Step<'a> {
        let Some(&[_, _, _, _, v0, v1, w0, w1]) = body.first_chunk() else {
            return Step::Damaged(format!("a section header needs 28 bytes, {size} are there"));
        };
        let (major, minor) = (self.order.u16([v0, v1]), self.order.u16([w0, w1]));
        if major != 1 {
            return Step::Damaged(format!("pcapng version {major}.{minor} is unknown; version 1 can be read"));
        }
        self.section_start = interfaces.len();
        Step::Skip { size: size as u64 }
    }

    fn interface<'a>(&mut self, body: &[u8], size: usize, interfaces: &mut Vec<Interface>) -> Step<'a> {
        let Some((&[l0, l1, _, _, s0, s1, s2, s3], options)) = body.split_first_chunk() else {
            return Step::Damaged(format!("an interface description needs 20 bytes, {size} are there"));
        };
        let (labels, clock) = interface_options(self.order, options);
        let link_type = self.order.u16([l0, l1]);
        let Labels { name, description } = labels;
        let snap_length = self.order.u32([s0, s1, s2, s3]);
        interfaces.push(Interface { name, description, link_type, snap_length, ..Interface::default() });
        self.clocks.push(clock);
        Step::Skip { size: size as u64 }
    }

    /// What the capturing program says of an interface: until when it captured, and what it lost.
    fn statistics<'a>(&self, body: &[u8], size: usize, interfaces: &mut [Interface]) -> Step<'a> {
        if let Some((&[i0, i1, i2, i3, _, _, _, _, _, _, _, _], options)) = body.split_first_chunk() {
            let index = self.section_start.saturating_add(self.order.u32([i0, i1, i2, i3]) as usize);
            if let (Some(interface), Some(clock)) = (interfaces.get_mut(index), self.clocks.get(index)) {
                let told = statistics_options(self.order, options, clock);
                interface.until_ns = interface.until_ns.max(told.until_ns);
                interface.dropped = interface.dropped.max(told.dropped);
            }
        }
        Step::Skip { size: size as u64 }
    }

    #[inline]
    fn enhanced_packet<'a>(
        &mut self,
        body: &'a [u8],
        size: usize,
        interfaces: &[Interface],
        log: &mut Log,
    ) -> Step<'a> {
        let order = self.order;
        let Some((&[i0, i1, i2, i3, h0, h1, h2, h3, t0, t1, t2, t3, c0, c1, c2, c3, w0, w1, w2, w3], rest)) =
            body.split_first_chunk()
        else {
            log.add("damaged-block", || format!("an enhanced packet block needs 32 bytes, {size} are there"));
            return Step::Unusable { size };
        };
        let record = Record {
            interface: order.u32([i0, i1, i2, i3]),
            ticks: u64::from(order.u32([h0, h1, h2, h3])) << 32 | u64::from(order.u32([t0, t1, t2, t3])),
            captured: order.u32([c0, c1, c2, c3]),
            wire_length: order.u32([w0, w1, w2, w3]),
        };
        self.frame(record, rest, size, interfaces, log)
    }

    fn packet<'a>(&mut self, body: &'a [u8], size: usize, interfaces: &[Interface], log: &mut Log) -> Step<'a> {
        let order = self.order;
        let Some((&[i0, i1, _, _, h0, h1, h2, h3, t0, t1, t2, t3, c0, c1, c2, c3, w0, w1, w2, w3], rest)) =
            body.split_first_chunk()
        else {
            log.add("damaged-block", || format!("a packet block needs 32 bytes, {size} are there"));
            return Step::Unusable { size };
        };
        let record = Record {
            interface: u32::from(order.u16([i0, i1])),
            ticks: u64::from(order.u32([h0, h1, h2, h3])) << 32 | u64::from(order.u32([t0, t1, t2, t3])),
            captured: order.u32([c0, c1, c2, c3]),
            wire_length: order.u32([w0, w1, w2, w3]),
        };
        self.frame(record, rest, size, interfaces, log)
    }

    /// A simple packet block has no time and belongs to the section's first interface.
    fn simple_packet<'a>(&mut self, body: &'a [u8], size: usize, interfaces: &[Interface], log: &mut Log) -> Step<'a> {
        let Some((wire_length, rest)) = body.split_first_chunk() else {
            log.add("damaged-block", || format!("a simple packet block needs 16 bytes, {size} are there"));
            return Step::Unusable { size };
        };
        let Some(interface) = interfaces.get(self.section_start) else {
            return unknown_interface(0, size, log);
        };
        let wire_length = self.order.u32(*wire_length);
        let captured = if interface.snap_length == 0 { wire_length } else { wire_length.min(interface.snap_length) };
        let Some(data) = rest.get(..captured as usize) else {
            return short_block(captured, rest.len(), size, log);
        };
        Step::Frame {
            size,
            time_ns: self.last_time_ns,
            wire_length,
            interface: self.section_start as u32,
            link_type: interface.link_type,
            data,
        }
    }

    #[inline]
    fn frame<'a>(
        &mut self,
        record: Record,
        rest: &'a [u8],
        size: usize,
        interfaces: &[Interface],
        log: &mut Log,
    ) -> Step<'a> {
        let index = self.section_start.saturating_add(record.interface as usize);
        let (Some(interface), Some(clock)) = (interfaces.get(index), self.clocks.get(index)) else {
            return unknown_interface(record.interface, size, log);
        };
        let Some(data) = rest.get(..record.captured as usize) else {
            return short_block(record.captured, rest.len(), size, log);
        };
        self.last_time_ns = clock.time_ns(record.ticks);
        Step::Frame {
            size,
            time_ns: self.last_time_ns,
            wire_length: record.wire_length.max(record.captured),
            interface: index as u32,
            link_type: interface.link_type,
            data,
        }
    }
}

/// What enhanced and obsolete packet blocks have in common.
struct Record {
    interface: u32,
    ticks: u64,
    captured: u32,
    wire_length: u32,
}

fn unknown_interface<'a>(interface: u32, size: usize, log: &mut Log) -> Step<'a> {
    log.add("unknown-interface", || format!("the packet is from interface {interface}, which its section lacks"));
    Step::Unusable { size }
}

fn short_block<'a>(captured: u32, there: usize, size: usize, log: &mut Log) -> Step<'a> {
    log.add("damaged-block", || format!("the block claims {captured} captured bytes and has room for {there}"));
    Step::Unusable { size }
}
