//! Copies a capture and writes comments into its packet blocks; everything else stays as it is.
//!
//! Unknown blocks, decryption secrets, name resolution and all options pass byte for byte, in the byte order of their
//! section (draft-ietf-opsawg-pcapng). A pcap file, which has no place for comments, becomes a pcapng file.

use std::collections::HashMap;

use super::byte_order::ByteOrder;
use super::pcapng::{
    ENHANCED_PACKET, INTERFACE_DESCRIPTION, LONGEST_BLOCK, MAGIC, PACKET, SECTION_HEADER, SHORTEST_BLOCK,
    SIMPLE_PACKET, section_order,
};
use super::{Frame, Interface, Reader};
use crate::compression::Decompressor;
use crate::issue::Issues;

/// Blocks that Wireshark numbers as frames and that hold none: a systemd journal entry, custom blocks.
const NO_FRAMES: [u32; 3] = [9, 0xbad, 0x4000_0bad];
const COMMENT: u16 = 1;
const IF_TSRESOL: u16 = 9;
/// An option's length has 16 bits.
const LONGEST_COMMENT: usize = 0xfffc;
/// Type, length, interface, time (twice 32 bits), captured length, original length.
const PACKET_HEAD: usize = 28;

/// Writes comments into one capture that is pushed through it, compressed or not.
pub struct Annotator {
    decompressor: Decompressor,
    copier: Copier,
}

struct Copier {
    comments: HashMap<u64, Vec<String>>,
    section_comment: String,
    /// Leaves [`NO_FRAMES`] out, so that whoever reads the copy counts the same frames.
    frames_only: bool,
    format: Format,
    /// Start of the block that the last piece cut.
    carry: Vec<u8>,
    /// Bytes of the current block that are copied as they come, or left out.
    pass: u64,
    drop: bool,
    frames: u64,
    written: u64,
    out: Vec<u8>,
}

enum Format {
    Unknown,
    /// The reader parses the records; true once the headers of the new file are written.
    Pcap(Box<Reader>, bool),
    Pcapng(ByteOrder),
    /// The way is lost: what follows is copied as it is.
    Lost,
}

impl Annotator {
    /// Comments by frame number, and one for the first section; `frames_only` leaves out what others count as frames.
    pub fn new(comments: HashMap<u64, Vec<String>>, section_comment: String, frames_only: bool) -> Annotator {
        let copier = Copier {
            comments,
            section_comment,
            frames_only,
            format: Format::Unknown,
            carry: Vec::new(),
            pass: 0,
            drop: false,
            frames: 0,
            written: 0,
            out: Vec::new(),
        };
        Annotator { decompressor: Decompressor::new(), copier }
    }

    /// Takes the next bytes of the capture and returns the next bytes of the copy.
    pub fn feed(&mut self, data: &[u8]) -> Vec<u8> {
        let Annotator { decompressor, copier } = self;
        decompressor.feed(data, &mut Issues::default(), 0, &mut |bytes| copier.feed(bytes));
        std::mem::take(&mut copier.out)
    }

    /// Tells that the capture ends here; returns the last bytes of the copy.
    pub fn finish(&mut self) -> Vec<u8> {
        let Annotator { decompressor, copier } = self;
        decompressor.finish(&mut Issues::default(), 0, &mut |bytes| copier.feed(bytes));
        if !matches!(copier.format, Format::Pcap(..)) {
            let rest = std::mem::take(&mut copier.carry);
            copier.out.extend_from_slice(&rest);
        }
        std::mem::take(&mut copier.out)
    }

    /// Frames that got their comments; simple packet blocks have no room for any.
    pub fn written(&self) -> u64 {
        self.copier.written
    }
}

impl Copier {
    fn feed(&mut self, data: &[u8]) {
        if self.carry.is_empty() {
            let rest = self.blocks(data);
            self.carry.extend_from_slice(rest);
            return;
        }
        let mut all = std::mem::take(&mut self.carry);
        all.extend_from_slice(data);
        let rest = self.blocks(&all).len();
        all.drain(..all.len() - rest);
        self.carry = all;
    }

    /// Copies what is complete; returns the rest.
    fn blocks<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        loop {
            let passed = usize::try_from(self.pass).unwrap_or(usize::MAX).min(bytes.len());
            let (copied, rest) = bytes.split_at(passed);
            if !self.drop {
                self.out.extend_from_slice(copied);
            }
            self.pass -= passed as u64;
            bytes = rest;
            if bytes.is_empty() {
                return bytes;
            }
            match &mut self.format {
                Format::Lost => {
                    self.out.extend_from_slice(bytes);
                    return &[];
                }
                Format::Pcap(..) => {
                    self.records(bytes);
                    return &[];
                }
                Format::Unknown => {
                    let Some(start) = bytes.first_chunk::<4>() else { return bytes };
                    self.format = if *start == MAGIC {
                        Format::Pcapng(ByteOrder::Little)
                    } else {
                        Format::Pcap(Box::default(), false)
                    };
                }
                Format::Pcapng(order) => {
                    let order = *order;
                    match self.block(bytes, order) {
                        Some(rest) => bytes = rest,
                        None if matches!(self.format, Format::Lost) => {}
                        None => return bytes,
                    }
                }
            }
        }
    }

    /// Copies the block at the front, with its comments; None when more bytes are needed.
    fn block<'a>(&mut self, bytes: &'a [u8], order: ByteOrder) -> Option<&'a [u8]> {
        let start @ &[t0, t1, t2, t3, l0, l1, l2, l3, ..] = bytes.first_chunk::<12>()?;
        let mut order = order;
        let mut kind = order.u32([t0, t1, t2, t3]);
        if [t0, t1, t2, t3] == MAGIC {
            kind = SECTION_HEADER;
            match section_order(start) {
                Some(found) => order = found,
                None => self.format = Format::Lost,
            }
        }
        let length = order.u32([l0, l1, l2, l3]);
        if !(SHORTEST_BLOCK..=LONGEST_BLOCK).contains(&length) {
            self.format = Format::Lost;
        }
        if matches!(self.format, Format::Lost) {
            return None;
        }
        let has_frame = matches!(kind, ENHANCED_PACKET | PACKET | SIMPLE_PACKET);
        let commented = matches!(kind, ENHANCED_PACKET | PACKET) && self.comments.contains_key(&(self.frames + 1));
        if !commented && kind != SECTION_HEADER {
            self.frames += u64::from(has_frame);
            self.pass = u64::from(length);
            self.drop = self.frames_only && NO_FRAMES.contains(&kind);
            return Some(bytes);
        }
        let (block, rest) = bytes.split_at_checked(length as usize)?;
        if kind == SECTION_HEADER {
            self.format = Format::Pcapng(order);
            let texts = [std::mem::take(&mut self.section_comment)];
            self.commented(block, 24, section_head(block), &texts, order);
        } else {
            self.frames += 1;
            let texts = self.comments.remove(&self.frames).unwrap_or_default();
            let captured = block.get(20..24).and_then(|four| four.first_chunk()).map_or(0, |four| order.u32(*four));
            let options = PACKET_HEAD.saturating_add((captured as usize).next_multiple_of(4));
            let head = block.get(..options).map(<[u8]>::to_vec);
            self.commented(block, options, head, &texts, order);
        }
        Some(rest)
    }

    /// Writes a block whose options start at `options` with comments before them; as it was when it has no room.
    fn commented(&mut self, block: &[u8], options: usize, head: Option<Vec<u8>>, texts: &[String], order: ByteOrder) {
        let end = block.len() - 4;
        let (Some(mut head), Some(old)) = (head, block.get(options..end)) else {
            self.out.extend_from_slice(block);
            return;
        };
        for text in texts.iter().filter(|text| !text.is_empty()) {
            option(&mut head, order, COMMENT, cut(text).as_bytes());
        }
        head.extend_from_slice(old);
        if old.is_empty() && head.len() > options {
            head.extend_from_slice(&[0; 4]);
        }
        let length = (head.len() + 4) as u32;
        let length = if order == ByteOrder::Little { length.to_le_bytes() } else { length.to_be_bytes() };
        if let Some(field) = head.get_mut(4..8) {
            field.copy_from_slice(&length);
        }
        head.extend_from_slice(&length);
        self.out.extend_from_slice(&head);
        self.written += u64::from(head.get(..4) != Some(&MAGIC));
    }

    /// Turns records of a pcap file into blocks.
    fn records(&mut self, bytes: &[u8]) {
        let Format::Pcap(reader, opened) = &mut self.format else { return };
        let Copier { comments, out, written, section_comment, .. } = self;
        let mut unread = Issues::default();
        let mut started = *opened;
        reader.feed(bytes, &mut unread, 0, |frame, interfaces| {
            open(&mut started, out, interfaces, section_comment);
            let texts = comments.get(&frame.number).map_or(&[][..], Vec::as_slice);
            packet(out, frame, texts);
            *written += u64::from(!texts.is_empty());
            true
        });
        if reader.format() == Some("pcap") {
            open(&mut started, out, reader.interfaces(), section_comment);
        }
        *opened = started;
    }
}

/// A section header up to its options, without the section's length, which grows with the comments.
fn section_head(block: &[u8]) -> Option<Vec<u8>> {
    let mut head = block.get(..24)?.to_vec();
    head.get_mut(16..24)?.fill(0xff);
    Some(head)
}

/// Writes, once, section header and interface description of a file that was a pcap: little-endian, nanoseconds.
fn open(started: &mut bool, out: &mut Vec<u8>, interfaces: &[Interface], comment: &str) {
    let (false, Some(interface)) = (std::mem::replace(started, true), interfaces.first()) else { return };
    let order = ByteOrder::Little;
    let mut body = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    if !comment.is_empty() {
        option(&mut body, order, COMMENT, cut(comment).as_bytes());
        body.extend_from_slice(&[0; 4]);
    }
    block(out, SECTION_HEADER, &body);
    let snap_length = interface.snap_length.to_le_bytes();
    let mut body = [&interface.link_type.to_le_bytes()[..], &[0, 0], &snap_length].concat();
    option(&mut body, order, IF_TSRESOL, &[9]);
    body.extend_from_slice(&[0; 4]);
    block(out, INTERFACE_DESCRIPTION, &body);
}

fn packet(out: &mut Vec<u8>, frame: &Frame<'_>, texts: &[String]) {
    let ticks = frame.time_ns as u64;
    let fields = [0, (ticks >> 32) as u32, ticks as u32, frame.data.len() as u32, frame.wire_length];
    let mut body: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
    body.extend_from_slice(frame.data);
    body.resize(body.len().next_multiple_of(4), 0);
    for text in texts {
        option(&mut body, ByteOrder::Little, COMMENT, cut(text).as_bytes());
    }
    if !texts.is_empty() {
        body.extend_from_slice(&[0; 4]);
    }
    block(out, ENHANCED_PACKET, &body);
}

fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let length = (body.len() as u32 + 12).to_le_bytes();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&length);
    out.extend_from_slice(body);
    out.extend_from_slice(&length);
}

fn option(out: &mut Vec<u8>, order: ByteOrder, code: u16, value: &[u8]) {
    for number in [code, value.len() as u16] {
        out.extend_from_slice(&if order == ByteOrder::Little { number.to_le_bytes() } else { number.to_be_bytes() });
    }
    out.extend_from_slice(value);
    out.resize(out.len() + value.len().next_multiple_of(4) - value.len(), 0);
}

/// A comment that fits into an option, cut between characters.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_COMMENT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
