//! LZ4 files of one or more frames. Only the blocks are decompressed by `lz4_flex`, whose own frame decoder wants a
//! reader to pull from. Checksums are not checked.

use super::algorithm::Algorithm;
use super::lz4_frame::{Descriptor, MAGIC, SKIPPABLE};
use lz4_flex::block::{decompress_into, decompress_into_with_dict};

/// How far back a linked block may refer.
const HISTORY: usize = 64 * 1024;
const UNCOMPRESSED: u32 = 0x8000_0000;

pub(super) struct Lz4 {
    state: State,
    /// The bytes that the state waits for, as far as they have come.
    pending: Vec<u8>,
    descriptor: Descriptor,
    history: Vec<u8>,
    output: Vec<u8>,
}

#[derive(Clone, Copy)]
enum State {
    Magic,
    Flags,
    /// The rest of the frame header, and checksums.
    Unread {
        length: usize,
        frame_goes_on: bool,
    },
    SkipLength,
    Skip(u32),
    BlockLength,
    Block {
        length: usize,
        compressed: bool,
    },
}

impl Lz4 {
    pub(super) fn new() -> Self {
        Lz4 {
            state: State::Magic,
            pending: Vec::new(),
            descriptor: Descriptor::default(),
            history: Vec::new(),
            output: Vec::new(),
        }
    }

    /// What comes after the bytes that the state waited for.
    fn next(&mut self, out: &mut dyn FnMut(&[u8])) -> Result<State, String> {
        let bytes = self.pending.as_slice();
        let number = bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        Ok(match self.state {
            State::Magic if number == MAGIC => State::Flags,
            State::Magic if number & !0x0f == SKIPPABLE => State::SkipLength,
            State::Magic => return Err(format!("no frame starts with {number:#010x}")),
            State::Flags => {
                self.descriptor = Descriptor::read(
                    bytes.first().copied().unwrap_or_default(),
                    bytes.get(1).copied().unwrap_or_default(),
                )?;
                self.history.clear();
                State::Unread { length: self.descriptor.rest, frame_goes_on: true }
            }
            State::SkipLength if number == 0 => State::Magic,
            State::SkipLength => State::Skip(number),
            State::Unread { frame_goes_on: true, .. } => State::BlockLength,
            State::Unread { .. } | State::Skip(_) => State::Magic,
            State::BlockLength if number == 0 && self.descriptor.content_checksum => {
                State::Unread { length: 4, frame_goes_on: false }
            }
            State::BlockLength if number == 0 => State::Magic,
            State::BlockLength => {
                let length = (number & !UNCOMPRESSED) as usize;
                if length > self.descriptor.longest_block {
                    return Err(format!(
                        "a block of {length} bytes where {} are the limit",
                        self.descriptor.longest_block
                    ));
                }
                State::Block { length, compressed: number & UNCOMPRESSED == 0 }
            }
            State::Block { length, compressed } => {
                self.block(length, compressed, out)?;
                State::BlockLength
            }
        })
    }

    fn block(&mut self, length: usize, compressed: bool, out: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let block = self.pending.get(..length).unwrap_or_default();
        let bytes = if compressed {
            self.output.resize(self.descriptor.longest_block, 0);
            let written = if self.descriptor.linked {
                decompress_into_with_dict(block, &mut self.output, &self.history)
            } else {
                decompress_into(block, &mut self.output)
            };
            self.output.get(..written.map_err(|error| error.to_string())?).unwrap_or_default()
        } else {
            block
        };
        out(bytes);
        if self.descriptor.linked {
            self.history.extend_from_slice(bytes.get(bytes.len().saturating_sub(HISTORY)..).unwrap_or_default());
            let surplus = self.history.len().saturating_sub(HISTORY);
            self.history.drain(..surplus);
        }
        Ok(())
    }

    /// How many bytes the state waits for.
    fn wanted(&self) -> usize {
        match self.state {
            State::Flags => 2,
            State::Unread { length, .. } => length,
            State::Magic | State::SkipLength | State::BlockLength => 4,
            State::Skip(_) => 0,
            State::Block { length, .. } => length + if self.descriptor.block_checksum { 4 } else { 0 },
        }
    }
}

impl Algorithm for Lz4 {
    fn feed(&mut self, mut data: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        loop {
            if let State::Skip(left) = self.state {
                let skipped = data.len().min(left as usize);
                data = data.get(skipped..).unwrap_or_default();
                let left = left - skipped as u32;
                if left > 0 {
                    self.state = State::Skip(left);
                    return Ok(());
                }
                self.state = State::Magic;
            }
            let missing = self.wanted().saturating_sub(self.pending.len()).min(data.len());
            let (taken, rest) = data.split_at(missing);
            self.pending.extend_from_slice(taken);
            data = rest;
            if self.pending.len() < self.wanted() {
                return Ok(());
            }
            self.state = self.next(out)?;
            self.pending.clear();
        }
    }

    fn finish(&mut self, _out: &mut dyn FnMut(&[u8])) -> bool {
        matches!(self.state, State::Magic) && self.pending.is_empty()
    }
}
