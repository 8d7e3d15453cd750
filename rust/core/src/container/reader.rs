//! Splits the bytes of one capture file into frames, however they are cut when they arrive.

use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};
use super::step::{Log, Step};
use super::{Frame, Interface, foreign};
use crate::issue::Issues;

/// Bytes that are brought into the cache together.
const AHEAD: usize = 4 * 1024;
const CACHE_LINE: usize = 64;

/// Touches the next bytes; returns how many. A record tells where the next one starts, so without this the processor
/// waits for memory once per record; reading evenly ahead, it need not.
fn warm(bytes: &[u8]) -> usize {
    let ahead = bytes.get(..AHEAD).unwrap_or(bytes);
    std::hint::black_box(ahead.iter().step_by(CACHE_LINE).fold(0, |sum, byte| sum ^ byte));
    ahead.len()
}

/// Reads one pcap or pcapng file that is pushed into it piece by piece.
///
/// Frames that lie wholly inside one piece are handed out without a copy; only a record that a
/// piece cuts in two is put together in memory, as its bytes arrive.
pub struct Reader {
    format: Format,
    interfaces: Vec<Interface>,
    /// Start of the record that the last piece cut.
    carry: Vec<u8>,
    /// Bytes of the current block that are still to be thrown away.
    skip: u64,
    /// Where the next record starts in the stream.
    offset: u64,
    frames: u64,
    error: Option<String>,
}

enum Format {
    Unknown,
    Pcap(Pcap),
    Pcapng(Pcapng),
    /// Damaged, not a capture, or the caller has had enough; remembers what it was.
    Stopped(Option<&'static str>),
}

impl Default for Reader {
    fn default() -> Self {
        Reader::new()
    }
}

impl Reader {
    /// A reader for one file; the format is found from the first bytes.
    pub fn new() -> Self {
        Reader {
            format: Format::Unknown,
            interfaces: Vec::new(),
            carry: Vec::new(),
            skip: 0,
            offset: 0,
            frames: 0,
            error: None,
        }
    }

    /// Takes the next bytes of the file and hands out the frames that they complete, in order.
    /// When `on_frame` returns false, nothing more is read.
    pub fn feed(
        &mut self,
        mut data: &[u8],
        issues: &mut Issues,
        capture: u32,
        mut on_frame: impl FnMut(&Frame, &[Interface]) -> bool,
    ) {
        while !matches!(self.format, Format::Stopped(_)) {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(data.len());
                data = data.get(skipped..).unwrap_or_default();
                self.skip -= skipped as u64;
                self.offset += skipped as u64;
            }
            if self.carry.is_empty() {
                let needed = self.records(&mut data, issues, capture, &mut on_frame);
                if needed > 0 {
                    self.carry.extend_from_slice(data);
                    return;
                }
            } else {
                // The carry never holds more than one record: it is used up whole or waits for more.
                let mut carry = std::mem::take(&mut self.carry);
                let mut rest = carry.as_slice();
                let needed = self.records(&mut rest, issues, capture, &mut on_frame);
                if rest.is_empty() {
                    carry.clear();
                    self.carry = carry;
                    continue;
                }
                let missing = needed.saturating_sub(rest.len()).max(1);
                let (wanted, later) = data.split_at(missing.min(data.len()));
                carry.extend_from_slice(wanted);
                self.carry = carry;
                data = later;
                if wanted.len() < missing {
                    return;
                }
            }
        }
    }

    /// Goes on with the record of this frame, which starts at this offset, when the next bytes are from there. Only a
    /// pcap file whose header alone was read can do so (false otherwise): pcapng may describe interfaces on the way.
    pub fn skip_to(&mut self, frame: u64, offset: u64) -> bool {
        let can = matches!(self.format, Format::Pcap(_)) && self.carry.is_empty() && self.frames == 0;
        if can {
            self.frames = frame.saturating_sub(1);
            self.offset = offset;
        }
        can
    }

    /// Whether the bytes so far end within a record.
    pub fn within_record(&self) -> bool {
        self.skip > 0 || !self.carry.is_empty()
    }

    /// Tells the reader that the file ends here; a record that is not complete becomes an issue.
    pub fn finish(&mut self, issues: &mut Issues, capture: u32) {
        let had = self.carry.len();
        match self.format {
            Format::Stopped(_) => return,
            Format::Unknown => {
                let start = std::mem::take(&mut self.carry);
                self.error = Some(match start.first_chunk() {
                    Some(magic) if pcap::recognise(*magic).is_some() => {
                        format!("a pcap file cut short: its header needs {} bytes, {had} are there", pcap::FILE_HEADER)
                    }
                    Some(&pcapng::MAGIC) => format!("a pcapng file cut short after {had} bytes"),
                    _ => foreign::describe(&start),
                });
            }
            Format::Pcap(_) | Format::Pcapng(_) if had > 0 => {
                let needed = self.needed(issues, capture);
                issues.add("truncated-tail", capture, self.frames + 1, self.offset, || {
                    format!("record needs {needed} bytes, {had} are left")
                });
            }
            Format::Pcapng(_) if self.skip > 0 => {
                let missing = self.skip;
                issues
                    .add("truncated-tail", capture, 0, self.offset, || format!("the last block lacks {missing} bytes"));
            }
            Format::Pcap(_) | Format::Pcapng(_) => {}
        }
        self.format = Format::Stopped(self.format());
    }

    /// The interfaces known so far; a pcap file has one.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// `pcap` or `pcapng`, once that is known.
    pub fn format(&self) -> Option<&'static str> {
        match self.format {
            Format::Unknown => None,
            Format::Pcap(_) => Some("pcap"),
            Format::Pcapng(_) => Some("pcapng"),
            Format::Stopped(format) => format,
        }
    }

    /// Why the bytes are no capture that can be read, in one sentence that says what to do.
    pub fn error(&self) -> Option<String> {
        self.error.clone()
    }

    /// Packet records met so far, which is the number of the last frame.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Hands out all complete records at the front of `data`. Returns how many bytes the record
    /// now at the front needs, 0 when something else is to be done first.
    fn records(
        &mut self,
        data: &mut &[u8],
        issues: &mut Issues,
        capture: u32,
        on_frame: &mut impl FnMut(&Frame, &[Interface]) -> bool,
    ) -> usize {
        let mut cold = data.len();
        loop {
            let bytes = *data;
            if bytes.len() <= cold {
                cold = bytes.len() - warm(bytes);
            }
            let step = match &mut self.format {
                Format::Stopped(_) => return 0,
                Format::Unknown => self.open(bytes),
                Format::Pcap(parser) => parser.step(bytes),
                Format::Pcapng(parser) => {
                    let mut log = Log { issues, capture, frame: self.frames + 1, offset: self.offset };
                    parser.step(bytes, &mut self.interfaces, &mut log)
                }
            };
            let used = match step {
                Step::Need(needed) => return needed,
                Step::Frame { size, time_ns, wire_length, interface, link_type, data } => {
                    self.frames += 1;
                    let (number, offset) = (self.frames, self.offset);
                    let frame = Frame { number, offset, time_ns, wire_length, interface, link_type, data };
                    if !on_frame(&frame, &self.interfaces) {
                        self.format = Format::Stopped(self.format());
                    }
                    size
                }
                Step::Unusable { size } => {
                    self.frames += 1;
                    size
                }
                Step::Skip { size } => {
                    let used = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len());
                    self.skip = size - used as u64;
                    used
                }
                Step::Damaged(detail) => {
                    if self.offset == 0 {
                        self.error = Some(detail.clone());
                    }
                    issues.add("damaged-record", capture, self.frames + 1, self.offset, || detail);
                    self.format = Format::Stopped(self.format());
                    return 0;
                }
            };
            self.offset += used as u64;
            *data = bytes.get(used..).unwrap_or_default();
            if self.skip > 0 {
                return 0;
            }
        }
    }

    /// Finds the format from the first bytes.
    fn open<'a>(&mut self, bytes: &[u8]) -> Step<'a> {
        let Some(magic) = bytes.first_chunk::<4>() else {
            return Step::Need(4);
        };
        if *magic == pcapng::MAGIC {
            let Some(start) = bytes.first_chunk() else {
                return Step::Need(12);
            };
            if let Some(order) = pcapng::section_order(start) {
                self.format = Format::Pcapng(Pcapng::new(order));
                return Step::Skip { size: 0 };
            }
        } else if pcap::recognise(*magic).is_some() {
            let Some(header) = bytes.first_chunk() else {
                return Step::Need(pcap::FILE_HEADER);
            };
            match Pcap::open(header) {
                Ok((parser, interface)) => {
                    self.format = Format::Pcap(parser);
                    self.interfaces.push(interface);
                    return Step::Skip { size: pcap::FILE_HEADER as u64 };
                }
                Err(error) => self.error = Some(error),
            }
            self.format = Format::Stopped(None);
            return Step::Skip { size: 0 };
        }
        if bytes.len() < foreign::ENOUGH {
            return Step::Need(foreign::ENOUGH);
        }
        self.error = Some(foreign::describe(bytes.get(..64).unwrap_or(bytes)));
        self.format = Format::Stopped(None);
        Step::Skip { size: 0 }
    }

    /// How long the record in the carry buffer is.
    fn needed(&mut self, issues: &mut Issues, capture: u32) -> usize {
        let step = match &mut self.format {
            Format::Pcap(parser) => parser.step(&self.carry),
            Format::Pcapng(parser) => {
                let mut log = Log { issues, capture, frame: 0, offset: 0 };
                parser.step(&self.carry, &mut self.interfaces, &mut log)
            }
            Format::Unknown | Format::Stopped(_) => return 0,
        };
        if let Step::Need(needed) = step { needed } else { 0 }
    }
}
