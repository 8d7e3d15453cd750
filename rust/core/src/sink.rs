//! Where the frames of captures go: points are told apart, frames decoded, packets handed to the flow tracker.

use crate::container::{Frame, Interface};
use crate::decode::decode;
use crate::decode::packet::{Outcome, Packet};
use crate::engine::Settings;
use crate::flow::events::FrameRef;
use crate::flow::tracker::{Options, Tracker};
use crate::issue::Issues;
use crate::table::points::{Point, Truncated};

/// Frames of the last moment may have waited in a buffer of the kernel when capturing was ended.
const UNDELIVERED_NS: i64 = 1_000_000_000;

/// A clock that is this far off is set at once (RFC 5905, STEPT); what buffers shuffle is less.
const SET_BACK_NS: i64 = 128_000_000;

/// What the frames of one capture add up to.
#[derive(Default)]
pub(crate) struct Progress {
    pub number: u32,
    pub ring: u32,
    /// Point of each interface of the file, once a frame of it was seen.
    pub points: Vec<Option<u32>>,
    /// Time of the last frame of each interface.
    pub latest_ns: Vec<i64>,
    /// Numbers of the frames to analyse, sorted; all when there is no list.
    pub only: Option<Vec<u64>>,
    pub frames: u64,
    pub bytes: u64,
    pub first_ns: Option<i64>,
    pub last_ns: Option<i64>,
    pub stopped: bool,
    pub issues: Issues,
}

/// Where frames go: the points, the flows, and the packet that every frame is decoded into.
pub(crate) struct Sink {
    pub settings: Settings,
    pub points: Vec<Point>,
    pub tracker: Tracker,
    packet: Packet,
}

impl Sink {
    /// A sink without points or flows.
    pub fn new(settings: Settings) -> Sink {
        let tracker = Tracker::new(Options { messages: settings.messages });
        Sink { settings, points: Vec::new(), tracker, packet: Packet::default() }
    }

    /// Notes until when each interface was captured, and what was lost there.
    pub fn end_of_capture(&mut self, interfaces: &[Interface], progress: &mut Progress) {
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
    pub fn frame(&mut self, frame: &Frame<'_>, interfaces: &[Interface], progress: &mut Progress) -> bool {
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
        let before_ns = std::mem::replace(&mut progress.latest_ns[frame.interface as usize], frame.time_ns);
        let point = &mut self.points[number as usize];
        let cut = (frame.data.len() as u64) < u64::from(frame.wire_length);
        if frame.time_ns < before_ns.saturating_sub(SET_BACK_NS) {
            let back_ns = before_ns.abs_diff(frame.time_ns);
            point.set_back_ns = point.set_back_ns.max(back_ns);
            progress.issues.add("time-goes-back", progress.number, frame.number, frame.offset, || set_back(back_ns));
        }
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
                set_back_ns: 0,
            });
            self.points.len() - 1
        });
        if progress.points.len() <= index {
            progress.points.resize(index + 1, None);
            progress.latest_ns.resize(index + 1, i64::MIN);
        }
        progress.points[index] = Some(number as u32);
        number as u32
    }
}

fn set_back(back_ns: u64) -> String {
    format!(
        "{:.3} s earlier than the frame before it: the clock was set back, or captures were put one behind the other: \
         analyse what is before and after apart (editcap -r), or put the frames in order (reordercap)",
        back_ns as f64 / 1e9
    )
}
