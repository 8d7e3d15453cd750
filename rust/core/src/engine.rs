//! Bytes of captures in, tables out: the four verbs of the core.

use crate::compression::Decompressor;
use crate::container::{Frame, Interface, Reader};
use crate::flow::addresses::Addresses;
use crate::issue::{Issue, Issues};
use crate::sink::{Progress, Sink};
use crate::table::flows::{FlowTable, Look};
use crate::table::{Tables, addresses, events, issues, messages, points};

/// What an engine is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Analyse only frames at or after this time.
    pub from_ns: Option<i64>,
    /// Analyse only frames at or before this time.
    pub to_ns: Option<i64>,
    /// Read at most this many frames of each capture.
    pub max_frames: Option<u64>,
    pub community_id: bool,
    pub messages: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { from_ns: None, to_ns: None, max_frames: None, community_id: false, messages: true }
    }
}

/// What one capture turned out to be.
#[derive(Debug, Clone)]
pub struct Summary {
    pub format: Option<&'static str>,
    pub compression: Option<&'static str>,
    pub frames: u64,
    /// Bytes of the decompressed stream.
    pub bytes: u64,
    pub first_ns: Option<i64>,
    pub last_ns: Option<i64>,
    pub points: Vec<u32>,
    /// The bytes so far end within a record: who writes them has more.
    pub within_record: bool,
    /// Why nothing could be read, when `format` is None.
    pub error: Option<String>,
    pub issues: Vec<Issue>,
}

struct Capture {
    decompressor: Decompressor,
    reader: Reader,
    progress: Progress,
}

/// Follows the flows of any number of captures.
pub struct Engine {
    captures: Vec<Option<Capture>>,
    sink: Sink,
    issues: Vec<Issue>,
}

impl Engine {
    pub fn new(settings: Settings) -> Engine {
        Engine { captures: Vec::new(), sink: Sink::new(settings), issues: Vec::new() }
    }

    /// Announces the next capture and returns its number. Captures of the same ring share their points.
    pub fn open(&mut self, ring: u32) -> u32 {
        let number = self.captures.len() as u32;
        let progress = Progress { number, ring, ..Progress::default() };
        let capture = Capture { decompressor: Decompressor::new(), reader: Reader::new(), progress };
        self.captures.push(Some(capture));
        number
    }

    /// Analyses only these frames of an open capture, by number in ascending order; the others are counted.
    pub fn only(&mut self, capture: u32, frames: Vec<u64>) {
        if let Some(Some(open)) = self.captures.get_mut(capture as usize) {
            open.progress.only = Some(frames);
        }
    }

    /// Takes the next bytes of a capture; false when no more are wanted. Bytes of a closed or unknown capture are refused.
    pub fn feed(&mut self, capture: u32, data: &[u8]) -> bool {
        let Some(Some(open)) = self.captures.get_mut(capture as usize) else { return false };
        let Capture { decompressor, reader, progress, .. } = open;
        let sink = &mut self.sink;
        let mut issues = std::mem::take(&mut progress.issues);
        let mut late = Issues::default();
        decompressor.feed(data, &mut issues, capture, &mut |bytes: &[u8]| {
            if !progress.stopped {
                progress.bytes += bytes.len() as u64;
                reader.feed(bytes, &mut late, capture, &mut |frame: &Frame<'_>, interfaces: &[Interface]| {
                    sink.frame(frame, interfaces, progress)
                });
            }
        });
        progress.issues.absorb(issues);
        progress.issues.absorb(late);
        !progress.stopped && reader.error().is_none()
    }

    /// Ends a capture. None when it was closed before.
    pub fn close(&mut self, capture: u32) -> Option<Summary> {
        let mut open = self.captures.get_mut(capture as usize)?.take()?;
        let sink = &mut self.sink;
        let progress = &mut open.progress;
        let mut issues = std::mem::take(&mut progress.issues);
        let mut late = Issues::default();
        let reader = &mut open.reader;
        open.decompressor.finish(&mut issues, capture, &mut |bytes: &[u8]| {
            progress.bytes += bytes.len() as u64;
            reader.feed(bytes, &mut late, capture, &mut |frame: &Frame<'_>, interfaces: &[Interface]| {
                sink.frame(frame, interfaces, progress)
            });
        });
        if !progress.stopped {
            reader.finish(&mut late, capture);
        }
        progress.issues.absorb(issues);
        progress.issues.absorb(late);
        sink.end_of_capture(reader.interfaces(), progress);
        let summary = open.summary();
        self.issues.extend(summary.issues.iter().cloned());
        Some(summary)
    }

    /// What an open capture has turned out to be so far. None when it was closed.
    pub fn summary(&self, capture: u32) -> Option<Summary> {
        self.captures.get(capture as usize)?.as_ref().map(Capture::summary)
    }

    /// Forgets flows that were drained and will hardly change: closed ones without a packet since `closed_ns`, all others
    /// since `silent_ns`. A later packet of the same tuple starts a flow with a new number. Returns how many are left.
    pub fn forget(&mut self, closed_ns: i64, silent_ns: i64) -> usize {
        self.sink.tracker.forget(closed_ns, silent_ns)
    }

    /// Takes back the numbers of all addresses but these, which rows that were drained still carry; returns how long
    /// the address table is. Nothing may wait to be drained.
    pub fn keep_addresses(&mut self, used: &[u32]) -> usize {
        self.sink.tracker.addresses.keep(used)
    }

    /// Rows of flows that changed since the last drain, and the events, messages and issues since then.
    pub fn drain(&mut self) -> Tables {
        self.tables(true)
    }

    /// The last drain. Captures that are still open are closed first.
    pub fn finish(&mut self) -> Tables {
        for number in 0..self.captures.len() as u32 {
            self.close(number);
        }
        let tables = self.tables(false);
        self.sink.tracker.addresses = Addresses::default();
        tables
    }

    fn tables(&mut self, open: bool) -> Tables {
        let tracker = &mut self.sink.tracker;
        let look = Look { open, community_id: self.sink.settings.community_id };
        let mut flows = FlowTable::new(tracker.changed(), look);
        if open {
            tracker.write_changed(|run, addresses| flows.fill(run, addresses));
        } else {
            tracker.write_last(|run, addresses| flows.fill(run, addresses));
        }
        Tables {
            flows: flows.finish(),
            events: events::table(tracker.events.take()),
            messages: messages::table(std::mem::take(&mut tracker.messages)),
            issues: issues::table(&std::mem::take(&mut self.issues)),
            addresses: addresses::table(&tracker.addresses.list),
            points: points::table(&self.sink.points),
        }
    }
}

impl Capture {
    fn summary(&self) -> Summary {
        let progress = &self.progress;
        let mut points: Vec<u32> = progress.points.iter().flatten().copied().collect();
        points.sort_unstable();
        points.dedup();
        Summary {
            format: self.reader.format(),
            compression: self.decompressor.name(),
            frames: progress.frames,
            bytes: progress.bytes,
            first_ns: progress.first_ns,
            last_ns: progress.last_ns,
            points,
            within_record: self.reader.within_record(),
            error: self.reader.error(),
            issues: progress.issues.rows().to_vec(),
        }
    }
}
