//! Bytes of captures in, tables out: the four verbs of the core.

use crate::compression::Decompressor;
use crate::container::{Frame, Interface, Reader};
use crate::decode::decode;
use crate::decode::packet::{Outcome, Packet};
use crate::flow::addresses::Addresses;
use crate::flow::events::FrameRef;
use crate::flow::tracker::{Options, Tracker};
use crate::issue::{Issue, Issues};
use crate::table::flows::{FlowTable, Look};
use crate::table::points::{Point, Truncated};
use crate::table::{Tables, addresses, events, issues, messages, points};

/// Frames of the last moment may have waited in a buffer of the kernel when capturing was ended.
const UNDELIVERED_NS: i64 = 1_000_000_000;

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

/// What the frames of one capture add up to.
#[derive(Default)]
struct Progress {
    number: u32,
    ring: u32,
    /// Point of each interface of the file, once a frame of it was seen.
    points: Vec<Option<u32>>,
    /// Numbers of the frames to analyse, sorted; all when there is no list.
    only: Option<Vec<u64>>,
    frames: u64,
    bytes: u64,
    first_ns: Option<i64>,
    last_ns: Option<i64>,
    stopped: bool,
    issues: Issues,
}

/// Where frames go: the points, the flows, and the packet that every frame is decoded into.
struct Sink {
    settings: Settings,
    points: Vec<Point>,
    tracker: Tracker,
    packet: Packet,
}

/// Follows the flows of any number of captures.
pub struct Engine {
    captures: Vec<Option<Capture>>,
    sink: Sink,
    issues: Vec<Issue>,
}

impl Engine {
    pub fn new(settings: Settings) -> Engine {
        let tracker = Tracker::new(Options { messages: settings.messages });
        let sink = Sink { settings, points: Vec::new(), tracker, packet: Packet::default() };
        Engine { captures: Vec::new(), sink, issues: Vec::new() }
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

impl Sink {
    /// Notes until when each interface was captured, and what was lost there.
    fn end_of_capture(&mut self, interfaces: &[Interface], progress: &mut Progress) {
        for (index, interface) in interfaces.iter().enumerate() {
            if interface.dropped > 0 {
                let name = interface.name.as_deref().unwrap_or("the interface");
                progress.issues.add("dropped-frames", progress.number, 0, 0, || {
                    format!("{} frames were lost at {name} while this was captured", interface.dropped)
                });
            }
            let Some(point) = progress.points.get(index).copied().flatten() else { continue };
            let point = &mut self.points[point as usize];
            point.dropped += interface.dropped;
            point.until_ns = point.until_ns.max(interface.until_ns.unwrap_or(i64::MIN).saturating_sub(UNDELIVERED_NS));
        }
    }

    /// Takes one frame; false when the capture has given enough.
    fn frame(&mut self, frame: &Frame<'_>, interfaces: &[Interface], progress: &mut Progress) -> bool {
        progress.frames += 1;
        progress.first_ns = Some(progress.first_ns.map_or(frame.time_ns, |first| first.min(frame.time_ns)));
        progress.last_ns = Some(progress.last_ns.map_or(frame.time_ns, |last| last.max(frame.time_ns)));
        let wanted = self.settings.from_ns.is_none_or(|from| frame.time_ns >= from)
            && self.settings.to_ns.is_none_or(|to| frame.time_ns <= to)
            && progress.only.as_ref().is_none_or(|only| only.binary_search(&frame.number).is_ok());
        if wanted {
            self.decode(frame, interfaces, progress);
        }
        progress.stopped = self.settings.max_frames.is_some_and(|most| progress.frames >= most);
        !progress.stopped
    }

    fn decode(&mut self, frame: &Frame<'_>, interfaces: &[Interface], progress: &mut Progress) {
        let number = self.point(frame, interfaces, progress);
        let point = &mut self.points[number as usize];
        let cut = (frame.data.len() as u64) < u64::from(frame.wire_length);
        point.frames += 1;
        if cut {
            point.truncated += 1;
            point.first_truncated.get_or_insert(Truncated {
                capture: progress.number,
                frame: frame.number,
                time_ns: frame.time_ns,
                captured: frame.data.len() as u32,
            });
        }
        point.first_ns = point.first_ns.min(frame.time_ns);
        point.last_ns = point.last_ns.max(frame.time_ns);
        let (at, issues) = ((progress.number, frame.number, frame.offset), &mut progress.issues);
        match decode(frame.link_type, frame.data, frame.wire_length, &mut self.packet) {
            Outcome::Transport => {
                point.packets += 1;
                let packet = &self.packet;
                let start = packet.payload_offset as usize;
                let end = start + packet.payload_captured as usize;
                let payload = frame.data.get(start..end).unwrap_or_default();
                let at = FrameRef {
                    capture: progress.number,
                    frame: frame.number,
                    offset: frame.offset,
                    time_ns: frame.time_ns,
                };
                self.tracker.packet(number, packet, payload, at, frame.wire_length, cut);
            }
            Outcome::Bad(bad) => issues.add(bad.kind, at.0, at.1, at.2, || {
                format!("{} header at byte {} needs {} bytes, {} are there", bad.layer, bad.offset, bad.needed, bad.had)
            }),
            Outcome::Fragment => issues.add("fragment", at.0, at.1, at.2, || {
                "IP fragment without a transport header: counted, not followed".to_owned()
            }),
            Outcome::UnknownLink => issues.add("unknown-link-type", at.0, at.1, at.2, || {
                format!("link type {} has no decoder; its frames are only counted", frame.link_type)
            }),
            Outcome::OtherProtocol(_) | Outcome::NotIp(_) => {}
        }
    }

    /// The point of a frame: one per ring, interface name (or index, when nameless) and link type.
    fn point(&mut self, frame: &Frame<'_>, interfaces: &[Interface], progress: &mut Progress) -> u32 {
        let index = frame.interface as usize;
        if let Some(Some(known)) = progress.points.get(index) {
            return *known;
        }
        let name = interfaces.get(index).and_then(|interface| interface.name.clone());
        let same = |point: &Point| {
            point.ring == progress.ring
                && point.link_type == frame.link_type
                && point.name == name
                && (name.is_some() || point.interface == frame.interface)
        };
        let number = self.points.iter().position(same).unwrap_or_else(|| {
            self.points.push(Point {
                ring: progress.ring,
                interface: frame.interface,
                name: name.clone(),
                description: interfaces.get(index).and_then(|interface| interface.description.clone()),
                link_type: frame.link_type,
                frames: 0,
                packets: 0,
                truncated: 0,
                first_truncated: None,
                first_ns: frame.time_ns,
                last_ns: frame.time_ns,
                until_ns: frame.time_ns,
                dropped: 0,
            });
            self.points.len() - 1
        });
        if progress.points.len() <= index {
            progress.points.resize(index + 1, None);
        }
        progress.points[index] = Some(number as u32);
        number as u32
    }
}
