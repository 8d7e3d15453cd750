//! One flow as it is followed: its key, its two halves and what belongs to neither.

use super::events::{Counts, FrameRef};
use super::half::{Half, NEVER};
use super::key::Key;
use super::messages::Conversation;
use super::state::History;
use super::tracker::FlowMessage;
use crate::decode::packet::{Packet, Tunnel, flag, protocol};

/// How the initiator of a flow is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum OrientedBy {
    /// It sent the SYN (or an echo request).
    Syn,
    /// It received the SYN-ACK (or an echo reply).
    SynAck,
    /// It sent the first packet; a guess.
    First,
}

impl OrientedBy {
    pub fn name(self) -> &'static str {
        match self {
            OrientedBy::Syn => "syn",
            OrientedBy::SynAck => "syn-ack",
            OrientedBy::First => "first",
        }
    }
}

/// Where a frame stands.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub frame: u64,
    pub offset: u64,
    pub capture: u32,
}

impl From<FrameRef> for Place {
    #[inline]
    fn from(at: FrameRef) -> Place {
        Place { frame: at.frame, offset: at.offset, capture: at.capture }
    }
}

/// A half that sent nothing.
static SILENT: Half = Half::SILENT;

/// One incarnation of a 5-tuple at one point.
#[derive(Debug)]
pub struct Flow {
    pub number: u32,
    pub key: Key,
    /// The initiator is the key's lower endpoint.
    pub initiator_is_low: bool,
    pub oriented_by: OrientedBy,
    pub changed: bool,
    pub icmp_errors: u32,
    pub tunnel: Tunnel,
    pub tunnel_id: u32,
    pub vlan: u16,
    pub interface: u32,
    pub first: Place,
    pub last: Place,
    pub last_syn_ns: i64,
    pub syn_ack_ns: i64,
    /// [`NEVER`] when not known.
    pub handshake_rtt_ns: i64,
    /// What the initiator sent.
    near: Half,
    /// What the responder sent; most of the flows of a scan or flood have none.
    far: Option<Box<Half>>,
    pub history: History,
    pub event_counts: Counts,
    pub conversation: Conversation,
}

impl Flow {
    /// The flow that `packet`, its first, belongs to. `upward`: the packet goes from the key's lower endpoint to the higher.
    pub fn new(number: u32, key: Key, upward: bool, packet: &Packet, at: FrameRef) -> Flow {
        let (from_sender, oriented_by) = orientation(packet);
        Flow {
            number,
            key,
            initiator_is_low: upward == from_sender,
            oriented_by,
            changed: true,
            icmp_errors: 0,
            tunnel: packet.tunnel,
            tunnel_id: packet.tunnel_id,
            vlan: packet.vlan,
            interface: packet.interface_index,
            first: at.into(),
            last: at.into(),
            last_syn_ns: NEVER,
            syn_ack_ns: NEVER,
            handshake_rtt_ns: NEVER,
            near: Half::default(),
            far: None,
            history: History::default(),
            event_counts: Counts::default(),
            conversation: Conversation::default(),
        }
    }

    /// 0 when a packet with this direction comes from the initiator, else 1.
    #[inline]
    pub fn half_of(&self, upward: bool) -> usize {
        usize::from(upward != self.initiator_is_low)
    }

    /// One half: 0 the initiator's, 1 the responder's.
    #[inline]
    pub fn half(&self, half: usize) -> &Half {
        if half == 0 { &self.near } else { self.far.as_deref().unwrap_or(&SILENT) }
    }

    /// One half, unless nothing was seen or told of it.
    #[inline]
    pub fn known_half(&self, half: usize) -> Option<&Half> {
        if half == 0 { Some(&self.near) } else { self.far.as_deref() }
    }

    #[inline]
    pub fn half_mut(&mut self, half: usize) -> &mut Half {
        if half == 0 { &mut self.near } else { self.far.get_or_insert_default() }
    }

    /// Reads the messages of one TCP segment, once its half is up to date.
    #[inline]
    pub fn read(
        &mut self,
        half: usize,
        packet: &Packet,
        payload: &[u8],
        at: FrameRef,
        messages: &mut Vec<FlowMessage>,
    ) {
        let own = if half == 0 { &self.near } else { self.far.as_deref().unwrap_or(&SILENT) };
        self.conversation.segment(u64::from(self.number), half, own, packet, payload, at, messages);
    }

    /// Both halves, as TCP analysis needs them.
    #[inline]
    pub fn halves_mut(&mut self) -> (&mut Half, &mut Option<Box<Half>>) {
        (&mut self.near, &mut self.far)
    }

    /// Address and port of initiator and responder.
    pub fn endpoints(&self) -> [([u8; 16], u16); 2] {
        let (low, high) = (self.key.low(), self.key.high());
        if self.initiator_is_low { [low, high] } else { [high, low] }
    }

    /// Zeek's state.
    pub fn state(&self) -> &'static str {
        if self.key.protocol() == protocol::TCP { self.history.tcp_state() } else { self.history.datagram_state() }
    }
}

/// True when the packet's sender is the initiator, and how that is known.
fn orientation(packet: &Packet) -> (bool, OrientedBy) {
    match packet.protocol {
        protocol::TCP if packet.flags & flag::SYN != 0 => {
            if packet.flags & flag::ACK != 0 {
                (false, OrientedBy::SynAck)
            } else {
                (true, OrientedBy::Syn)
            }
        }
        protocol::ICMP if packet.icmp_type == 0 => (false, OrientedBy::SynAck),
        protocol::ICMP if packet.icmp_type == 8 => (true, OrientedBy::Syn),
        protocol::ICMPV6 if packet.icmp_type == 129 => (false, OrientedBy::SynAck),
        protocol::ICMPV6 if packet.icmp_type == 128 => (true, OrientedBy::Syn),
        _ => (true, OrientedBy::First),
    }
}
