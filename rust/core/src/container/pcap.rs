//! The pcap format (draft-ietf-opsawg-pcap), all variants of it that libpcap wrote.

use super::Interface;
use super::byte_order::ByteOrder;
use super::step::{LONGEST_FRAME, Step, USUAL_LONGEST_FRAME};

pub(super) const FILE_HEADER: usize = 24;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Alexey Kuznetzov's libpcap patch: record headers go on with interface index, protocol and packet type.
const MODIFIED: u32 = 0xa1b2_cd34;

/// How the two lengths of a record are ordered, which changed with version 2.3 of the format.
#[derive(Clone, Copy)]
enum Lengths {
    CapturedFirst,
    WireFirst,
    /// Version 2.3 exists both ways: the captured length is the smaller one.
    SmallerIsCaptured,
}

/// Parser of the records of one pcap file.
pub(super) struct Pcap {
    order: ByteOrder,
    /// Nanoseconds per unit of the fractional timestamp.
    fraction_ns: i64,
    record_header: usize,
    lengths: Lengths,
    link_type: u16,
    longest: u32,
}

/// Byte order and magic number, when the first four bytes are those of a pcap file.
pub(super) fn recognise(magic: [u8; 4]) -> Option<(ByteOrder, u32)> {
    [ByteOrder::Little, ByteOrder::Big]
        .into_iter()
        .map(|order| (order, order.u32(magic)))
        .find(|(_, magic)| matches!(*magic, MICROSECONDS | NANOSECONDS | MODIFIED))
}

impl Pcap {
    /// Reads the file header; `Err` says why this pcap cannot be read.
    pub(super) fn open(header: &[u8; FILE_HEADER]) -> Result<(Pcap, Interface), String> {
        let [m0, m1, m2, m3, a0, a1, b0, b1, _, _, _, _, _, _, _, _, s0, s1, s2, s3, l0, l1, l2, l3] = *header;
        let (order, magic) =
            recognise([m0, m1, m2, m3]).ok_or_else(|| String::from("the pcap magic number is missing"))?;
        let (major, minor) = (order.u16([a0, a1]), order.u16([b0, b1]));
        let lengths = match (major, minor) {
            (2, 0..=2) => Lengths::WireFirst,
            (2, 3) => Lengths::SmallerIsCaptured,
            // 543.0 is what the same patched libpcap wrote as its version.
            (2, _) | (543, 0) => Lengths::CapturedFirst,
            _ => return Err(format!("pcap version {major}.{minor} is unknown; versions 2.0 to 2.4 can be read")),
        };
        let snap_length = order.u32([s0, s1, s2, s3]);
        // The upper half holds the FCS length and flags.
        let link_type = (order.u32([l0, l1, l2, l3]) & 0xffff) as u16;
        let parser = Pcap {
            order,
            fraction_ns: if magic == NANOSECONDS { 1 } else { 1_000 },
            record_header: if magic == MODIFIED { 24 } else { 16 },
            lengths,
            link_type,
            longest: snap_length.clamp(USUAL_LONGEST_FRAME, LONGEST_FRAME),
        };
        Ok((parser, Interface { link_type, snap_length, ..Interface::default() }))
    }

    #[inline]
    pub(super) fn step<'a>(&self, bytes: &'a [u8]) -> Step<'a> {
        let Some((header, rest)) = bytes.split_at_checked(self.record_header) else {
            return Step::Need(self.record_header);
        };
        let Some(&[s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, w0, w1, w2, w3]) = header.first_chunk() else {
            return Step::Need(self.record_header);
        };
        let order = self.order;
        let (first, second) = (order.u32([c0, c1, c2, c3]), order.u32([w0, w1, w2, w3]));
        let (captured, wire_length) = match self.lengths {
            Lengths::CapturedFirst => (first, second),
            Lengths::WireFirst => (second, first),
            Lengths::SmallerIsCaptured => (first.min(second), first.max(second)),
        };
        if captured > self.longest {
            return Step::Damaged(format!(
                "the record header claims {captured} captured bytes, more than the {} a frame may have",
                self.longest
            ));
        }
        let Some(data) = rest.get(..captured as usize) else {
            return Step::Need(self.record_header + captured as usize);
        };
        let seconds = i64::from(order.u32([s0, s1, s2, s3]));
        let fraction = i64::from(order.u32([f0, f1, f2, f3]));
        Step::Frame {
            size: self.record_header + data.len(),
            time_ns: seconds * 1_000_000_000 + fraction * self.fraction_ns,
            wire_length: wire_length.max(captured),
            interface: 0,
            link_type: self.link_type,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(magic: [u8; 4], minor: u8, snap_length: u32, link: u32) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        bytes[..4].copy_from_slice(&magic);
        bytes[4] = 2;
        bytes[6] = minor;
        bytes[16..20].copy_from_slice(&snap_length.to_le_bytes());
        bytes[20..].copy_from_slice(&link.to_le_bytes());
        bytes
    }

    fn record(fields: [u32; 4], data: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        bytes.extend_from_slice(data);
        bytes
    }

    fn only_frame(header: &[u8; FILE_HEADER], record: &[u8]) -> (i64, u32, Vec<u8>) {
        let (parser, _) = Pcap::open(header).unwrap();
        match parser.step(record) {
            Step::Frame { time_ns, wire_length, data, .. } => (time_ns, wire_length, data.to_vec()),
            _ => panic!("no frame"),
        }
    }

    #[test]
    fn microseconds_and_nanoseconds() {
        let record = record([7, 5, 2, 60], &[1, 2]);
        let micro = header([0xd4, 0xc3, 0xb2, 0xa1], 4, 65535, 1);
        let nano = header([0x4d, 0x3c, 0xb2, 0xa1], 4, 65535, 1);
        assert_eq!(only_frame(&micro, &record), (7_000_005_000, 60, vec![1, 2]));
        assert_eq!(only_frame(&nano, &record), (7_000_000_005, 60, vec![1, 2]));
    }

    #[test]
    fn old_versions_store_the_wire_length_first() {
        let magic = [0xd4, 0xc3, 0xb2, 0xa1];
        assert_eq!(only_frame(&header(magic, 2, 96, 1), &record([0, 0, 60, 2], &[1, 2])), (0, 60, vec![1, 2]));
        assert_eq!(only_frame(&header(magic, 3, 96, 1), &record([0, 0, 60, 2], &[1, 2])), (0, 60, vec![1, 2]));
        assert_eq!(only_frame(&header(magic, 3, 96, 1), &record([0, 0, 2, 60], &[1, 2])), (0, 60, vec![1, 2]));
    }

    #[test]
    fn modified_records_have_eight_bytes_more() {
        let mut bytes = record([0, 0, 2, 2], &[9; 8]);
        bytes.extend_from_slice(&[1, 2]);
        assert_eq!(only_frame(&header([0x34, 0xcd, 0xb2, 0xa1], 4, 96, 1), &bytes), (0, 2, vec![1, 2]));
    }

    #[test]
    fn link_type_is_the_low_half() {
        let (_, interface) = Pcap::open(&header([0xd4, 0xc3, 0xb2, 0xa1], 4, 96, 0xf400_0001)).unwrap();
        assert_eq!(interface.link_type, 1);
    }

    #[test]
    fn absurd_length_is_damage() {
        let (parser, _) = Pcap::open(&header([0xd4, 0xc3, 0xb2, 0xa1], 4, u32::MAX, 1)).unwrap();
        assert!(matches!(parser.step(&record([0, 0, 3_000_000_000, 60], &[])), Step::Damaged(_)));
        assert!(matches!(parser.step(&record([0, 0, 300_000, 60], &[])), Step::Need(300_016)));
    }
}
