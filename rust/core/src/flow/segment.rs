//! One TCP segment of a known flow: what it opens, answers, repeats or ends.

use super::events::{Event, EventLog, FrameRef, Kind};
use super::half::{Half, NEVER, Opening};
use super::record::Flow;
use super::tcp;
use crate::decode::packet::{Packet, flag, protocol};

/// A SYN whose own direction already has another base sequence starts a new incarnation; the same number is a retry.
/// A SYN-ACK never does: it may have been captured before its SYN.
pub fn starts_anew(flow: &Flow, upward: bool, packet: &Packet) -> bool {
    if packet.protocol != protocol::TCP || packet.flags & (flag::SYN | flag::ACK) != flag::SYN {
        return false;
    }
    let own = flow.half(flow.half_of(upward));
    own.base_known && own.base_seq != packet.seq
}

/// One TCP segment of a known flow.
pub fn segment(flow: &mut Flow, half: usize, packet: &Packet, payload: &[u8], at: FrameRef, events: &mut EventLog) {
    let flags = packet.flags;
    let syn = flags & flag::SYN != 0;
    let ack = flags & flag::ACK != 0;
    if syn {
        opening(flow, half, packet, at.time_ns);
    } else if ack && half == 0 && flow.syn_ack_ns != NEVER && flow.handshake_rtt_ns == NEVER {
        flow.handshake_rtt_ns = handshake_rtt(flow, packet, at.time_ns).unwrap_or(NEVER);
    }
    let challenged = !syn && ack && half == 1 && is_challenge(flow, packet);

    let first_rtt_ns = Some(flow.handshake_rtt_ns).filter(|&ns| ns != NEVER);
    let (near, far) = flow.halves_mut();
    // Only an acknowledgement tells something of a responder that was not seen.
    let mut unseen;
    let far = match far {
        Some(far) => far.as_mut(),
        None if ack => far.get_or_insert_default(),
        None => {
            unseen = Half::SILENT;
            &mut unseen
        }
    };
    let (own, other) = if half == 0 { (near, far) } else { (far, near) };
    let found = tcp::analyse(own, other, packet, at.time_ns, first_rtt_ns);
    if packet.payload_length > 0 && own.payload_digest == 0 {
        own.payload_digest = super::digest::digest(payload);
    }
    own.resets += u32::from(flags & flag::RST != 0);
    own.fins += u32::from(flags & flag::FIN != 0);

    flow.history.segment(half, packet);
    if syn {
        note(flow, if ack { Kind::SynAck } else { Kind::Syn }, half, packet, payload, at, events);
    } else if found.retransmission {
        flow.history.retransmission(half);
        if !found.duplicate {
            note(flow, Kind::Retransmission, half, packet, payload, at, events);
        }
    }
    if flags & flag::RST != 0 {
        note(flow, Kind::Rst, half, packet, payload, at, events);
    }
    if flags & flag::FIN != 0 {
        note(flow, Kind::Fin, half, packet, payload, at, events);
    }
    if challenged {
        note(flow, Kind::ChallengeAck, half, packet, payload, at, events);
    }
    if found.gap {
        flow.history.gap(half);
        note(flow, Kind::Gap, half, packet, payload, at, events);
    }
    if found.zero_window {
        flow.history.zero_window(half);
        note(flow, Kind::ZeroWindow, half, packet, payload, at, events);
    }
    if packet.payload_length > 0 && !found.retransmission {
        note(flow, Kind::Data, half, packet, payload, at, events);
    }
}

fn opening(flow: &mut Flow, half: usize, packet: &Packet, time_ns: i64) {
    let stray = packet.flags & flag::ACK != 0 && is_stray(flow, half, packet);
    let own = flow.half_mut(half);
    own.syns += 1;
    if stray {
        return;
    }
    if own.opening.is_none() {
        own.opening = Some(Opening::of(packet, time_ns));
    }
    if packet.flags & flag::ACK == 0 {
        flow.last_syn_ns = time_ns;
    } else if flow.syn_ack_ns == NEVER {
        flow.syn_ack_ns = time_ns;
    }
}

/// A SYN-ACK for another SYN than this flow's, or with another number than what its half has sent already: the SYN it
/// answers was not captured, and its number is none of this flow.
fn is_stray(flow: &Flow, half: usize, packet: &Packet) -> bool {
    let own = flow.half(half);
    let goes_before = packet.seq == own.low_seq || packet.seq.wrapping_add(1) == own.low_seq;
    let another = half == 1 && flow.half(0).opening.as_ref().is_some_and(|syn| packet.ack != syn.isn.wrapping_add(1));
    another || own.sequenced && !goes_before
}

/// SYN to final ACK, when this is that ACK.
fn handshake_rtt(flow: &Flow, packet: &Packet, time_ns: i64) -> Option<i64> {
    let (syn, answer) = (flow.half(0).opening.as_ref()?, flow.half(1).opening.as_ref()?);
    let completes = packet.seq == syn.isn.wrapping_add(1) && packet.ack == answer.isn.wrapping_add(1);
    (completes && flow.last_syn_ns != NEVER).then(|| time_ns - flow.last_syn_ns)
}

/// A bare ACK in answer to a SYN, with another number than the SYN's (RFC 5961, section 4.2): the responder still
/// holds an older connection of this tuple.
fn is_challenge(flow: &Flow, packet: &Packet) -> bool {
    let Some(syn) = &flow.half(0).opening else { return false };
    flow.half(1).syns == 0
        && packet.flags & (flag::RST | flag::FIN) == 0
        && packet.payload_length == 0
        && packet.ack != syn.isn.wrapping_add(1)
}

/// Keeps one packet of the flow as an event.
pub fn note(
    flow: &mut Flow,
    kind: Kind,
    half: usize,
    packet: &Packet,
    payload: &[u8],
    at: FrameRef,
    events: &mut EventLog,
) {
    let event = Event { flow: u64::from(flow.number), kind, half: half as u8, at, packet, payload, error: None };
    events.add(event, &mut flow.event_counts);
}
