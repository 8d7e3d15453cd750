//! Frames read again: those of chosen flows, or with chosen numbers, out of one capture.
//!
//! The tables keep where flows begin and end, not every frame between; evidence needs the frames themselves.

use std::collections::HashMap;

use crate::compression::Decompressor;
use crate::container::{Frame, Interface, Reader};
use crate::decode::decode;
use crate::decode::packet::{Outcome, Packet};
use crate::flow::key::Key;
use crate::issue::Issues;

/// One flow, as far as it lies in the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Addresses are 16 bytes, IPv4 ones IPv4-mapped.
    pub src: [u8; 16],
    pub dst: [u8; 16],
    pub src_port: u16,
    pub dst_port: u16,
    pub protocol: u8,
    /// Numbers of its first and last frame, both included; a later connection of the same tuple is another stretch.
    pub first: u64,
    pub last: u64,
    /// At most this many of its frames.
    pub most: u64,
}

/// What is wanted of one capture.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub stretches: Vec<Stretch>,
    /// Numbers of single frames.
    pub frames: Vec<u64>,
    /// Every frame from `from_ns` to `to_ns`, both included.
    pub everything: bool,
    pub from_ns: Option<i64>,
    pub to_ns: Option<i64>,
    /// No frame after this number.
    pub max_frames: Option<u64>,
}

/// A frame that was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    pub number: u64,
    pub time_ns: i64,
    pub wire_length: u32,
    /// Index into [`Selection::interfaces`].
    pub interface: u32,
    pub data: Vec<u8>,
    /// Positions of the stretches it belongs to.
    pub stretches: Vec<u32>,
}

/// Picks the wanted frames out of one capture that is pushed into it, compressed or not.
pub struct Selection {
    decompressor: Decompressor,
    reader: Reader,
    picker: Picker,
}

struct Picker {
    wanted: Wanted,
    by_key: HashMap<Key, Vec<u32>>,
    taken: Vec<u64>,
    last: u64,
    packet: Packet,
    picked: Vec<Picked>,
    done: bool,
}

impl Selection {
    pub fn new(mut wanted: Wanted) -> Selection {
        let mut by_key: HashMap<Key, Vec<u32>> = HashMap::new();
        let mut last = wanted.frames.iter().copied().max().unwrap_or(0);
        for (at, one) in (0u32..).zip(&wanted.stretches) {
            by_key.entry(key(one)).or_default().push(at);
            last = last.max(one.last);
        }
        wanted.frames.sort_unstable();
        if wanted.everything {
            last = u64::MAX;
        }
        last = last.min(wanted.max_frames.unwrap_or(u64::MAX));
        let taken = vec![0; wanted.stretches.len()];
        let packet = Packet::default();
        let picker = Picker { wanted, by_key, taken, last, packet, picked: Vec::new(), done: last == 0 };
        Selection { decompressor: Decompressor::new(), reader: Reader::new(), picker }
    }

    /// Takes the next bytes of the capture and returns the wanted frames that they complete, in order.
    pub fn feed(&mut self, data: &[u8]) -> Vec<Picked> {
        let Selection { decompressor, reader, picker } = self;
        // Whatever cannot be read was said when the capture was analysed.
        let mut unread = Issues::default();
        let mut issues = Issues::default();
        decompressor.feed(data, &mut unread, 0, &mut |bytes| {
            reader.feed(bytes, &mut issues, 0, |frame, _| picker.frame(frame));
        });
        std::mem::take(&mut picker.picked)
    }

    /// Tells that the capture ends here; returns the last frames.
    pub fn finish(&mut self) -> Vec<Picked> {
        let Selection { decompressor, reader, picker } = self;
        let (mut unread, mut issues) = (Issues::default(), Issues::default());
        decompressor.finish(&mut unread, 0, &mut |bytes| {
            reader.feed(bytes, &mut issues, 0, |frame, _| picker.frame(frame));
        });
        std::mem::take(&mut picker.picked)
    }

    /// True when no frame that follows can be wanted.
    pub fn done(&self) -> bool {
        self.picker.done
    }

    /// The interfaces known so far.
    pub fn interfaces(&self) -> &[Interface] {
        self.reader.interfaces()
    }

    /// Goes on with the record of this frame at this offset of a plain pcap file, after its file header was fed.
    /// False when the format has more than records to read on the way.
    pub fn skip_to(&mut self, frame: u64, offset: u64) -> bool {
        self.decompressor.name().is_none() && self.reader.skip_to(frame, offset)
    }
}

impl Picker {
    fn frame(&mut self, frame: &Frame<'_>) -> bool {
        if frame.number <= self.last {
            let stretches = self.stretches(frame);
            let listed = self.wanted.frames.binary_search(&frame.number).is_ok();
            let in_time = self.wanted.from_ns.is_none_or(|from| frame.time_ns >= from)
                && self.wanted.to_ns.is_none_or(|to| frame.time_ns <= to);
            if !stretches.is_empty() || listed || (self.wanted.everything && in_time) {
                self.picked.push(Picked {
                    number: frame.number,
                    time_ns: frame.time_ns,
                    wire_length: frame.wire_length,
                    interface: frame.interface,
                    data: frame.data.to_vec(),
                    stretches,
                });
            }
        }
        self.done = frame.number >= self.last;
        !self.done
    }

    /// The stretches that a frame belongs to; an ICMP error belongs to the flow whose packet it quotes.
    fn stretches(&mut self, frame: &Frame<'_>) -> Vec<u32> {
        if self.by_key.is_empty()
            || decode(frame.link_type, frame.data, frame.wire_length, &mut self.packet) != Outcome::Transport
        {
            return Vec::new();
        }
        let (key, _) = match &self.packet.quoted {
            Some(quoted) => Key::of_quoted(0, quoted),
            None => Key::of(0, &self.packet),
        };
        let mut found = Vec::new();
        for &at in self.by_key.get(&key).into_iter().flatten() {
            let (Some(stretch), Some(taken)) =
                (self.wanted.stretches.get(at as usize), self.taken.get_mut(at as usize))
            else {
                continue;
            };
            if (stretch.first..=stretch.last).contains(&frame.number) && *taken < stretch.most {
                *taken += 1;
                found.push(at);
            }
        }
        found
    }
}

fn key(stretch: &Stretch) -> Key {
    let packet = Packet {
        src: stretch.src,
        dst: stretch.dst,
        src_port: stretch.src_port,
        dst_port: stretch.dst_port,
        protocol: stretch.protocol,
        ..Packet::default()
    };
    Key::of(0, &packet).0
}
