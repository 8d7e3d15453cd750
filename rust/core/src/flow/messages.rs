//! The application messages of one flow: read in order, from the first byte, while a parser wants more.

use super::events::FrameRef;
use super::half::Half;
use super::sequence::{after, before};
use super::stream::{HELD_BYTES, Mark, Segment, Stream};
use super::tracker::FlowMessage;
use crate::decode::packet::{Packet, flag};
use crate::message::{Exchange, Message, Parser, Reading, Sniff, Want};

/// What is being read of a flow; most flows speak nothing that is read, and cost two flags.
#[derive(Debug, Default)]
pub struct Conversation {
    done: [bool; 2],
    reading: Option<Box<Halves>>,
}

#[derive(Debug, Default)]
struct Halves {
    streams: [Option<(Stream, Parser)>; 2],
    exchange: Exchange,
}

impl Conversation {
    /// Takes one TCP segment. `own` is its half, already up to date.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "called from one place, where these are at hand")]
    pub fn segment(
        &mut self,
        flow: u64,
        half: usize,
        own: &Half,
        packet: &Packet,
        payload: &[u8],
        at: FrameRef,
        out: &mut Vec<FlowMessage>,
    ) {
        if self.reading.is_some() && packet.flags & flag::ACK != 0 {
            self.acknowledged(flow, 1 - half, packet.ack, out);
        }
        if packet.payload_length == 0 || self.done[half] {
            return;
        }
        let seq = packet.seq.wrapping_add(u32::from(packet.flags & flag::SYN != 0));
        let started = self.reading.as_ref().is_some_and(|reading| reading.streams[half].is_some());
        if !started && !self.start(half, own, seq, payload) {
            return;
        }
        let mark = Mark { capture: at.capture, frame: at.frame, time_ns: at.time_ns };
        let segment = Segment { seq, captured: payload, length: packet.payload_length, mark };
        self.read(flow, half, out, |stream, reading| stream.push(segment, reading));
    }

    /// Ends what is still being read. `closed`: the connection ended in the capture.
    pub fn end(&mut self, flow: u64, closed: bool, out: &mut Vec<FlowMessage>) {
        for half in 0..2 {
            self.read(flow, half, out, |stream, reading| stream.flush(reading));
        }
        let Some(mut reading) = self.reading.take() else { return };
        let mut found = Vec::new();
        for half in 0..2u8 {
            if let Some((_, parser)) = &mut reading.streams[usize::from(half)] {
                parser.finish(closed, &mut found);
                hand_over(flow, half, &mut found, out);
            }
        }
    }

    /// Decides at the first data of a half whether there is something to read; false when not, or not yet.
    fn start(&mut self, half: usize, own: &Half, seq: u32, payload: &[u8]) -> bool {
        let expected = own.opening.as_ref().map_or(seq, |opening| opening.isn.wrapping_add(1));
        if before(seq, expected) {
            return false;
        }
        let early = after(seq, expected) && (seq.wrapping_sub(expected) as usize) < HELD_BYTES;
        if !early && matches!(Parser::sniff(payload), Sniff::No) {
            self.done[half] = true;
            return false;
        }
        let stream = Stream::new(if early { expected } else { seq });
        self.reading.get_or_insert_default().streams[half] = Some((stream, Parser::undecided()));
        true
    }

    /// The other side has the bytes before `ack`: what we miss of them will not come.
    fn acknowledged(&mut self, flow: u64, half: usize, ack: u32, out: &mut Vec<FlowMessage>) {
        let waiting = |(stream, _): &(Stream, Parser)| stream.held_bytes() > 0;
        if self.reading.as_ref().is_some_and(|reading| reading.streams[half].as_ref().is_some_and(waiting)) {
            self.read(flow, half, out, |stream, reading| stream.skip_gap(ack, reading));
        }
    }

    fn read(
        &mut self,
        flow: u64,
        half: usize,
        out: &mut Vec<FlowMessage>,
        step: impl FnOnce(&mut Stream, &mut Reading<'_>),
    ) {
        let Some(halves) = &mut self.reading else { return };
        let Some((stream, parser)) = &mut halves.streams[half] else { return };
        let mut found = Vec::new();
        step(stream, &mut Reading { parser, exchange: &mut halves.exchange, out: &mut found });
        let finished = parser.want() == Want::Done;
        hand_over(flow, half as u8, &mut found, out);
        if finished {
            halves.streams[half] = None;
            self.done[half] = true;
            if self.done == [true; 2] {
                self.reading = None;
            }
        }
    }
}

fn hand_over(flow: u64, half: u8, found: &mut Vec<Message>, out: &mut Vec<FlowMessage>) {
    out.extend(found.drain(..).map(|message| FlowMessage { flow, half, message }));
}
