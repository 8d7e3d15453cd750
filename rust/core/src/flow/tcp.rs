//! TCP analysis of one segment, with the meaning that Wireshark gives the terms.
//!
//! Engineers compare our counts with `tcp.analysis.*`, so the order of the questions and the thresholds
//! are Wireshark's (4.0); the state behind them is ours: coverage of the sequence space, not a list of segments.

use super::half::Half;
use super::sequence::{after, before};
use crate::decode::packet::{Packet, flag};

/// A repeat counts as fast when it comes this soon after the duplicate ACKs that asked for it.
const FAST_WITHIN_NS: i64 = 20_000_000;
/// An earlier segment is out of order, not repeated, when it comes within the handshake's RTT, else within this.
const REORDERED_WITHIN_NS: i64 = 3_000_000;

/// What one segment turned out to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Analysis {
    pub retransmission: bool,
    pub duplicate: bool,
    pub out_of_order: bool,
    /// A segment before this one was not captured.
    pub gap: bool,
    pub duplicate_ack: bool,
    pub zero_window: bool,
    /// It acknowledges data of the other half that was not captured.
    pub acked_unseen: bool,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Repeat {
    No,
    Plain,
    Fast,
    Spurious,
    OutOfOrder,
}

/// Analyses one segment and brings both halves up to date. `first_rtt_ns` is the handshake's RTT, once known.
pub fn analyse(own: &mut Half, other: &mut Half, packet: &Packet, time_ns: i64, first_rtt_ns: Option<i64>) -> Analysis {
    let mut found = Analysis::default();
    let (seq, ack, length, flags) = (packet.seq, packet.ack, packet.payload_length, packet.flags);
    let control = flags & (flag::SYN | flag::FIN | flag::RST) != 0;
    let has_ack = flags & flag::ACK != 0;

    if !own.base_known {
        own.base_seq = if flags & flag::SYN != 0 { seq } else { seq.wrapping_sub(1) };
        own.base_known = true;
    }
    if !other.base_known && has_ack {
        other.base_seq = ack.wrapping_sub(1);
        other.base_known = true;
    }

    let expected = own.sequenced && seq == own.next_seq;
    let probe = length == 1 && expected && other.packets > 0 && other.window == 0;
    let mut keep_alive = false;
    if !probe {
        if packet.window == 0 && !control {
            found.zero_window = true;
            own.troubled().zero_windows += 1;
        }
        if own.sequenced && after(seq, own.next_seq) && flags & flag::RST == 0 {
            found.gap = true;
            own.troubled().lost_segments += 1;
        }
        keep_alive = length <= 1 && own.sequenced && seq == own.next_seq.wrapping_sub(1) && !control;
        let repeats_ack = length == 0 && expected && packet.window == own.window && ack == own.last_ack && !control;
        // The answer to a keep-alive repeats an ACK, but asks for nothing.
        found.duplicate_ack = repeats_ack && packet.window != 0 && !other.last_was_keep_alive;
    }
    if found.duplicate_ack {
        own.troubled().duplicate_acks += 1;
        own.duplicate_ack_run = own.duplicate_ack_run.saturating_add(1);
    }
    if ack != own.last_ack {
        own.duplicate_ack_run = 0;
    }

    if has_ack && other.contiguous_known && after(ack, other.contiguous) {
        found.acked_unseen = true;
        own.troubled().acked_unseen += 1;
        other.contiguous = other.next_seq;
    }

    let sends = length > 0 || flags & (flag::SYN | flag::FIN) != 0;
    let repeat = if sends && !keep_alive { repeated(own, other, packet, time_ns, first_rtt_ns) } else { Repeat::No };
    match repeat {
        Repeat::No => {}
        Repeat::OutOfOrder => {
            found.out_of_order = true;
            own.troubled().out_of_order += 1;
        }
        Repeat::Plain | Repeat::Fast | Repeat::Spurious => {
            found.retransmission = true;
            found.duplicate = own.captured_before(packet);
            let trouble = own.troubled();
            trouble.retransmissions += 1;
            trouble.fast_retransmissions += u32::from(repeat == Repeat::Fast);
            trouble.spurious_retransmissions += u32::from(repeat == Repeat::Spurious);
            trouble.duplicates += u32::from(found.duplicate);
        }
    }
    if sends {
        own.remember(packet);
    }

    let mut end = seq.wrapping_add(length);
    if flags & (flag::SYN | flag::FIN) != 0 {
        end = end.wrapping_add(1);
    }
    advance(own, seq, end, time_ns, probe, sends);

    if length > own.pending.1 {
        own.pending = (end, length);
    }
    if has_ack {
        if !own.acked || after(ack, own.highest_ack) {
            own.highest_ack = ack;
            own.acked = true;
        }
        if other.pending.1 > 0 && !after(other.pending.0, ack) {
            other.max_acked_segment = other.max_acked_segment.max(other.pending.1);
            other.pending = (0, 0);
        }
    }
    own.window = packet.window;
    own.last_ack = ack;
    own.sack = packet.options.sack;
    own.last_was_keep_alive = keep_alive;
    own.last_was_window_probe = probe;
    found
}

/// Moves the half's coverage on to `seq..end`.
fn advance(own: &mut Half, seq: u32, end: u32, time_ns: i64, probe: bool, sends: bool) {
    if !own.sequenced {
        own.sequenced = true;
        own.low_seq = seq;
        own.next_seq = end;
        own.next_seq_ns = time_ns;
    } else {
        if sends {
            if before(seq, own.low_seq) {
                // Data from before the first captured segment: what lies between is a hole.
                if before(end, own.low_seq) {
                    let low = own.low_seq;
                    own.troubled().holes.open(end, low);
                }
                own.low_seq = seq;
            }
            if after(seq, own.next_seq) {
                let next = own.next_seq;
                own.troubled().holes.open(next, seq);
            } else if own.holes().is_some() {
                own.troubled().holes.fill(seq, end);
            }
        }
        if after(end, own.next_seq) && !probe && (sends || own.holes().is_none()) {
            if !sends {
                let next = own.next_seq;
                own.troubled().holes.open(next, end);
            }
            own.next_seq = end;
            own.next_seq_ns = time_ns;
        }
    }
    if !probe && (!own.contiguous_known || seq == own.contiguous) {
        own.contiguous = own.next_seq;
        own.contiguous_known = true;
    }
}

/// Which kind of repeat a segment that sends something is, if any.
fn repeated(own: &Half, other: &Half, packet: &Packet, time_ns: i64, first_rtt_ns: Option<i64>) -> Repeat {
    let (seq, length) = (packet.seq, packet.payload_length);
    if !own.sequenced {
        return Repeat::No;
    }
    let mut earlier = before(seq, own.next_seq);
    // The byte of a window probe comes again with the data that follows it.
    if length > 1 && seq == own.next_seq.wrapping_sub(1) {
        earlier = false;
    }
    let end = seq.wrapping_add(length);
    if length > 0 && other.packets > 0 && other.last_ack != 0 && !after(end, other.last_ack) {
        return Repeat::Spurious;
    }
    if !earlier {
        return Repeat::No;
    }
    if other.duplicate_ack_run >= 2 && time_ns.saturating_sub(other.last_ns) < FAST_WITHIN_NS {
        if other.last_ack == seq {
            return Repeat::Fast;
        }
        if let Some((left, right)) = other.sack
            && (before(seq, left) || after(seq, right))
        {
            return Repeat::Fast;
        }
    }
    let covered_to = if packet.flags & (flag::SYN | flag::FIN) != 0 { end.wrapping_add(1) } else { end };
    let seen = !before(seq, own.low_seq)
        && !after(covered_to, own.next_seq)
        && own.holes().is_none_or(|holes| holes.covers(seq, covered_to));
    let since = time_ns.saturating_sub(own.next_seq_ns);
    if !seen && since < first_rtt_ns.unwrap_or(REORDERED_WITHIN_NS) {
        return Repeat::OutOfOrder;
    }
    Repeat::Plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends segments of (half, milliseconds, seq, ack, length, flags) and returns what each was.
    fn play(steps: &[(usize, i64, u32, u32, u32, u8)]) -> (Vec<Analysis>, [Half; 2]) {
        let mut halves = [Half::default(), Half::default()];
        let mut found = Vec::new();
        for (number, &(half, ms, seq, ack, payload_length, flags)) in steps.iter().enumerate() {
            let ip_id = number as u16 + 1;
            let packet = Packet { seq, ack, payload_length, flags, window: 1000, ip_id, ..Packet::default() };
            let (first, second) = halves.split_at_mut(1);
            let (own, other) =
                if half == 0 { (&mut first[0], &mut second[0]) } else { (&mut second[0], &mut first[0]) };
            own.count(&packet, payload_length, ms * 1_000_000);
            found.push(analyse(own, other, &packet, ms * 1_000_000, Some(10_000_000)));
        }
        (found, halves)
    }

    const A: u8 = flag::ACK;

    #[test]
    fn a_hole_that_is_filled_at_once_is_reordering_and_later_a_repeat() {
        let (found, halves) =
            play(&[(0, 0, 100, 1, 10, A), (0, 1, 120, 1, 10, A), (0, 2, 110, 1, 10, A), (0, 500, 100, 1, 10, A)]);
        assert!(found[1].gap);
        assert!(found[2].out_of_order && !found[2].retransmission);
        assert!(found[3].retransmission);
        assert_eq!(halves[0].covered_bytes(), 30);
        assert_eq!(halves[0].trouble().unwrap().retransmissions, 1);
    }

    #[test]
    fn what_was_acknowledged_before_is_a_spurious_repeat() {
        let (found, halves) = play(&[(0, 0, 100, 1, 10, A), (1, 1, 1, 110, 0, A), (0, 2, 100, 1, 10, A)]);
        assert!(found[2].retransmission);
        assert_eq!(halves[0].trouble().unwrap().spurious_retransmissions, 1);
    }

    #[test]
    fn two_duplicate_acks_ask_for_a_fast_repeat() {
        let mut steps = vec![(0, 0, 100, 1, 10, A), (0, 1, 110, 1, 10, A), (0, 1, 120, 1, 10, A), (1, 2, 1, 110, 0, A)];
        steps.extend([(1, 3, 1, 110, 0, A), (1, 4, 1, 110, 0, A), (0, 5, 110, 1, 10, A)]);
        let (found, halves) = play(&steps);
        assert!(found[4].duplicate_ack && found[5].duplicate_ack);
        assert_eq!(halves[0].trouble().unwrap().fast_retransmissions, 1);
    }

    #[test]
    fn a_keep_alive_is_no_repeat_and_its_answer_no_duplicate() {
        let (found, _) =
            play(&[(0, 0, 100, 1, 10, A), (1, 1, 1, 110, 0, A), (0, 9000, 109, 1, 1, A), (1, 9001, 1, 110, 0, A)]);
        assert_eq!(found[2], Analysis::default());
        assert!(!found[3].duplicate_ack);
    }

    #[test]
    fn data_that_only_the_other_side_saw_is_capture_loss() {
        let (found, halves) = play(&[(0, 0, 100, 1, 10, A), (1, 1, 1, 500, 0, A)]);
        assert!(found[1].acked_unseen);
        assert_eq!(halves[1].trouble().unwrap().acked_unseen, 1);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let (found, halves) =
            play(&[(0, 0, u32::MAX - 4, 1, 10, A), (0, 1, 5, 1, 10, A), (0, 900, u32::MAX - 4, 1, 10, A)]);
        assert!(!found[1].gap && !found[1].retransmission);
        assert!(found[2].retransmission);
        assert_eq!(halves[0].covered_bytes(), 20);
    }

    #[test]
    fn a_zero_window_is_seen_and_its_probe_moves_nothing() {
        let mut halves = [Half::default(), Half::default()];
        let packet = |seq, ack, payload_length, window| Packet {
            seq,
            ack,
            payload_length,
            window,
            flags: A,
            ..Packet::default()
        };
        let [a, b] = &mut halves;
        for (from_a, p) in
            [(true, packet(100, 1, 10, 500)), (false, packet(1, 110, 0, 0)), (true, packet(110, 1, 1, 500))]
        {
            let (own, other) = if from_a { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
            own.count(&p, 60, 0);
            let found = analyse(own, other, &p, 0, None);
            assert_eq!(found.zero_window, p.window == 0);
        }
        assert_eq!(a.next_seq, 110);
    }
}
