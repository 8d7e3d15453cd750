//! In-order bytes of one half of a TCP connection, holding little of what came too early.
//!
//! Sequence numbers become 64-bit positions on the way in, so nothing below wraps.

/// Most bytes held of segments that came before their turn, per half.
pub const HELD_BYTES: usize = 16 * 1024;
/// Most pieces of segments held, per half.
pub const HELD_PIECES: usize = 32;
/// No window is larger (RFC 7323, section 2.3): what lies further ahead is not part of this stream.
const FARTHEST: u64 = 1 << 30;

/// The frame that bytes came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Capture number as given by the engine.
    pub capture: u32,
    /// Frame number, from 1 in its capture.
    pub frame: u64,
    /// UTC, nanoseconds since the epoch.
    pub time_ns: i64,
}

/// The payload of one TCP segment (RFC 9293, section 3.1).
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Sequence number of the first payload byte; with SYN set that is the header's number plus one.
    pub seq: u32,
    /// Payload as captured.
    pub captured: &'a [u8],
    /// Payload length on the wire; more than was captured when the snap length cut the frame.
    pub length: u32,
    pub mark: Mark,
}

/// Takes the bytes of a [`Stream`] in order.
pub trait Consumer {
    /// The next bytes, all of one frame.
    fn data(&mut self, chunk: &[u8], mark: Mark);
    /// So many bytes of the stream were not seen and will not be.
    fn gap(&mut self, length: u64);
}

/// Part of a segment that waits for the bytes before it.
#[derive(Debug)]
struct Held {
    start: u64,
    end: u64,
    captured: Vec<u8>,
    mark: Mark,
}

/// Puts segments in order: the first copy of a byte wins, holes are waited for within limits.
#[derive(Debug)]
pub struct Stream {
    next: u64,
    /// Sorted, disjoint, all beyond `next`.
    held: Vec<Held>,
}

impl Stream {
    /// Starts at a sequence number: the SYN's plus one, or that of the first data seen.
    pub fn new(seq: u32) -> Stream {
        // One lap up, so that positions before the start exist.
        Stream { next: (1 << 32) + u64::from(seq), held: Vec::new() }
    }

    /// Takes one segment and passes on what is now in order.
    pub fn push(&mut self, segment: Segment, consumer: &mut impl Consumer) {
        let start = self.position(segment.seq);
        let end = start + u64::from(segment.length);
        if end <= self.next || start > self.next + FARTHEST {
            return;
        }
        let wire = usize::try_from(segment.length).unwrap_or(usize::MAX);
        let captured = &segment.captured[..segment.captured.len().min(wire)];
        while start > self.next {
            if self.hold(start, end, captured, segment.mark) {
                return;
            }
            let first = self.held.first().map_or(start, |held| held.start.min(start));
            self.skip_to(first, consumer);
        }
        while self.next < end {
            let upto = self.held.first().map_or(end, |held| held.start.min(end));
            pass(part(start, captured, self.next, upto), upto - self.next, segment.mark, consumer);
            self.next = upto;
            self.drain(consumer);
        }
    }

    /// The other side acknowledged everything before `ack`: holes up to there will not be filled.
    ///
    /// Only a hole with held bytes behind it is given up. An acknowledgement may be captured before the data.
    pub fn skip_gap(&mut self, ack: u32, consumer: &mut impl Consumer) {
        let acknowledged = self.position(ack);
        while let Some(first) = self.held.first().map(|held| held.start).filter(|start| *start <= acknowledged) {
            self.skip_to(first, consumer);
        }
    }

    /// The capture ended: passes on all that is held, with its gaps.
    pub fn flush(&mut self, consumer: &mut impl Consumer) {
        while let Some(first) = self.held.first().map(|held| held.start) {
            self.skip_to(first, consumer);
        }
    }

    /// Bytes held for later, at most [`HELD_BYTES`].
    pub fn held_bytes(&self) -> usize {
        self.held.iter().map(|held| held.captured.len()).sum()
    }

    fn position(&self, seq: u32) -> u64 {
        // The low 32 bits are the sequence number; the nearest position with those bits is meant.
        let ahead = seq.wrapping_sub(self.next as u32).cast_signed();
        self.next.saturating_add_signed(i64::from(ahead))
    }

    /// Keeps what is new of a segment ahead of its turn; false when there is no room.
    fn hold(&mut self, start: u64, end: u64, captured: &[u8], mark: Mark) -> bool {
        let holes = self.holes(start, end);
        let bytes: usize = holes.iter().map(|&(from, to)| part(start, captured, from, to).len()).sum();
        if self.held.len() + holes.len() > HELD_PIECES || self.held_bytes() + bytes > HELD_BYTES {
            return false;
        }
        for (from, to) in holes {
            let at = self.held.partition_point(|held| held.start < from);
            let captured = part(start, captured, from, to).to_vec();
            self.held.insert(at, Held { start: from, end: to, captured, mark });
        }
        true
    }

    /// The ranges between `start` and `end` of which nothing is held.
    fn holes(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut holes = Vec::new();
        let mut at = start;
        for held in self.held.iter().filter(|held| held.end > start && held.start < end) {
            if at < held.start {
                holes.push((at, held.start));
            }
            at = held.end;
        }
        if at < end {
            holes.push((at, end));
        }
        holes
    }

    fn skip_to(&mut self, position: u64, consumer: &mut impl Consumer) {
        consumer.gap(position - self.next);
        self.next = position;
        self.drain(consumer);
    }

    fn drain(&mut self, consumer: &mut impl Consumer) {
        while self.held.first().is_some_and(|held| held.start == self.next) {
            let held = self.held.remove(0);
            pass(&held.captured, held.end - held.start, held.mark, consumer);
            self.next = held.end;
        }
    }
}

/// What was captured of the range `from..to`, when `captured` begins at `start`.
fn part(start: u64, captured: &[u8], from: u64, to: u64) -> &[u8] {
    let cut = |position: u64| usize::try_from(position - start).map_or(captured.len(), |at| at.min(captured.len()));
    &captured[cut(from)..cut(to)]
}

fn pass(captured: &[u8], length: u64, mark: Mark, consumer: &mut impl Consumer) {
    if !captured.is_empty() {
        consumer.data(captured, mark);
    }
    let missing = length - captured.len() as u64;
    if missing > 0 {
        consumer.gap(missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The stream as text: bytes as they are, a gap as `?` per byte (the first 64).
    #[derive(Default)]
    struct Seen(Vec<u8>);

    impl Consumer for Seen {
        fn data(&mut self, chunk: &[u8], _: Mark) {
            self.0.extend_from_slice(chunk);
        }

        fn gap(&mut self, length: u64) {
            self.0.extend(std::iter::repeat_n(b'?', length.min(64) as usize));
        }
    }

    fn segment(seq: u32, captured: &[u8]) -> Segment<'_> {
        Segment { seq, captured, length: captured.len() as u32, mark: Mark::default() }
    }

    fn text(seen: &Seen) -> &str {
        std::str::from_utf8(&seen.0).unwrap()
    }

    #[test]
    fn a_hole_is_waited_for_and_the_first_copy_wins() {
        let (mut stream, mut seen) = (Stream::new(u32::MAX - 1), Seen::default());
        stream.push(segment(u32::MAX - 1, b"ab"), &mut seen);
        stream.push(segment(3, b"fg"), &mut seen);
        stream.push(segment(u32::MAX, b"XcXXXXXh"), &mut seen);
        stream.push(segment(0, b"CDE"), &mut seen);
        assert_eq!((text(&seen), stream.held_bytes()), ("abcXXfgXh", 0));
    }

    #[test]
    fn a_hole_is_skipped_only_when_acknowledged_and_followed() {
        let (mut stream, mut seen) = (Stream::new(100), Seen::default());
        stream.skip_gap(103, &mut seen);
        stream.push(segment(103, b"de"), &mut seen);
        stream.skip_gap(102, &mut seen);
        assert_eq!(text(&seen), "");
        stream.skip_gap(105, &mut seen);
        stream.push(segment(100, b"abcdef"), &mut seen);
        assert_eq!(text(&seen), "???def");
    }

    #[test]
    fn bytes_cut_by_the_snap_length_are_a_gap() {
        let (mut stream, mut seen) = (Stream::new(0), Seen::default());
        stream.push(Segment { length: 5, ..segment(0, b"ab") }, &mut seen);
        stream.push(Segment { length: 4, ..segment(7, b"hi") }, &mut seen);
        stream.push(segment(5, b"fgHIJK"), &mut seen);
        assert_eq!(text(&seen), "ab???fghi??");
    }

    #[test]
    fn a_full_buffer_gives_the_hole_up() {
        let (mut stream, mut seen) = (Stream::new(0), Seen::default());
        let big = vec![b'x'; HELD_BYTES];
        stream.push(segment(1, &big), &mut seen);
        assert_eq!((seen.0.len(), stream.held_bytes()), (0, HELD_BYTES));
        stream.push(segment(1, &big), &mut seen);
        assert_eq!(seen.0.len(), 0, "a copy needs no room");
        stream.push(segment(2 + HELD_BYTES as u32, b"y"), &mut seen);
        stream.flush(&mut seen);
        assert_eq!((&seen.0[..2], seen.0.len()), (b"?x".as_slice(), HELD_BYTES + 3));
        stream.push(segment(1 << 31, b"far"), &mut seen);
        assert_eq!(stream.held_bytes(), 0);
    }

    proptest! {
        /// Any order, repetition and overlap of segments gives the same bytes.
        #[test]
        fn order_does_not_matter(
            isn: u32,
            bytes in prop::collection::vec(any::<u8>(), 1..400),
            picks in prop::collection::vec((0usize..400, 1usize..60), 0..8),
            rest in Just((0..8usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let (mut stream, mut seen) = (Stream::new(isn), Seen::default());
            let eighth = bytes.len().div_ceil(8);
            let all = picks.into_iter().chain(rest.into_iter().map(|at| (at * eighth, eighth)));
            for (from, length) in all {
                let from = from.min(bytes.len());
                let piece = &bytes[from..(from + length).min(bytes.len())];
                stream.push(segment(isn.wrapping_add(from as u32), piece), &mut seen);
            }
            prop_assert_eq!(&seen.0, &bytes);
            prop_assert_eq!(stream.held_bytes(), 0);
        }

        /// Whatever the numbers say, nothing panics and memory stays bounded.
        #[test]
        fn any_segments_are_bounded(
            segments in prop::collection::vec((any::<u32>(), 0usize..3000, any::<u32>(), any::<bool>()), 0..200),
        ) {
            let (mut stream, mut seen) = (Stream::new(0), Seen::default());
            let bytes = [0; 3000];
            for (seq, captured, length, near) in segments {
                let seq = if near { seq % 100_000 } else { seq };
                stream.push(Segment { seq, captured: &bytes[..captured], length, mark: Mark::default() }, &mut seen);
                if captured % 7 == 0 {
                    stream.skip_gap(length, &mut seen);
                }
                prop_assert!(stream.held_bytes() <= HELD_BYTES && stream.held.len() <= HELD_PIECES);
            }
            stream.flush(&mut seen);
        }
    }
}
