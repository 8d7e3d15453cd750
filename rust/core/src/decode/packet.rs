//! The decoded packet: one plain value, filled by the decoders of the layers and read by the flow tracker.

/// IP protocol numbers that flowscope tells apart (IANA).
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
}

/// TCP flag bits as they stand in the header (RFC 9293, section 3.1).
pub mod flag {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
}

/// Packet type of frames whose link layer has none (everything but Linux cooked).
pub const NO_PACKET_TYPE: u8 = 0xff;
/// VLAN of untagged frames.
pub const NO_VLAN: u16 = 0xffff;

/// The innermost tunnel a packet came out of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Tunnel {
    #[default]
    None = 0,
    Vxlan = 1,
    Geneve = 2,
    Gre = 3,
    IpIp = 4,
    Gtp = 5,
    Erspan = 6,
    Ipv6InIp = 7,
}

/// Layout of options that were not captured whole.
pub const CUT_LAYOUT: u32 = u32::MAX;

/// TCP options of one segment that matter for joins and analysis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpOptions {
    pub mss: Option<u16>,
    pub window_scale: Option<u8>,
    pub sack_permitted: bool,
    /// (TSval, TSecr), RFC 7323.
    pub timestamps: Option<(u32, u32)>,
    /// First SACK block, left and right edge.
    pub sack: Option<(u32, u32)>,
    /// Hash of kinds and order of all options and of the window scale, without MSS value and
    /// timestamps: what a translator leaves alone and a retry repeats. 0 without options, [`CUT_LAYOUT`] when the
    /// snap length left a part of them.
    pub layout: u32,
}

/// What an ICMP error quotes of the packet it is about (RFC 792, RFC 4443, RFC 4884).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    pub src: [u8; 16],
    pub dst: [u8; 16],
    pub protocol: u8,
    pub src_port: u16,
    pub dst_port: u16,
    /// TCP sequence number, when the quote reaches that far.
    pub seq: Option<u32>,
}

/// One decoded packet. Addresses are 16 bytes; IPv4 ones are IPv4-mapped (`::ffff:a.b.c.d`).
/// Fields of layers that the packet does not have keep their default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    pub src: [u8; 16],
    pub dst: [u8; 16],
    pub ip_version: u8,
    pub protocol: u8,
    pub ttl: u8,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    pub src_port: u16,
    pub dst_port: u16,
    /// TCP sequence number; ICMP echo: its sequence number.
    pub seq: u32,
    pub ack: u32,
    /// Low eight TCP flag bits, see [`flag`].
    pub flags: u8,
    pub window: u16,
    pub checksum: u16,
    pub options: TcpOptions,
    /// ICMP type and code; for echo, `src_port` and `dst_port` both hold the identifier.
    pub icmp_type: u8,
    pub icmp_code: u8,
    pub quoted: Option<Quoted>,
    /// Transport payload: where it starts in the frame, how much of it was captured, how long it was
    /// on the wire (from the IP length, so Ethernet padding does not count).
    pub payload_offset: u32,
    pub payload_captured: u32,
    pub payload_length: u32,
    /// Linux cooked packet type (0 to us, 1 broadcast, 2 multicast, 3 to others, 4 from us), else [`NO_PACKET_TYPE`].
    pub packet_type: u8,
    /// Interface index of Linux cooked v2, else 0.
    pub interface_index: u32,
    /// Outermost VLAN id, else [`NO_VLAN`].
    pub vlan: u16,
    pub tunnel: Tunnel,
    /// VXLAN or Geneve network identifier, GRE key, else 0.
    pub tunnel_id: u32,
}

impl Default for Packet {
    fn default() -> Self {
        Packet {
            src: [0; 16],
            dst: [0; 16],
            ip_version: 0,
            protocol: 0,
            ttl: 0,
            ip_id: 0,
            src_port: 0,
            dst_port: 0,
            seq: 0,
            ack: 0,
            flags: 0,
            window: 0,
            checksum: 0,
            options: TcpOptions::default(),
            icmp_type: 0,
            icmp_code: 0,
            quoted: None,
            payload_offset: 0,
            payload_captured: 0,
            payload_length: 0,
            packet_type: NO_PACKET_TYPE,
            interface_index: 0,
            vlan: NO_VLAN,
            tunnel: Tunnel::None,
            tunnel_id: 0,
        }
    }
}

/// How far the decoders came with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A TCP, UDP or ICMP packet with everything a flow needs.
    Transport,
    /// IP, but a protocol without ports that flowscope does not track.
    OtherProtocol(u8),
    /// IP fragment other than the first.
    Fragment,
    /// Not IP (ARP, LLDP, CAN, ...): counted only. The number is the EtherType or 0.
    NotIp(u16),
    /// The link type has no decoder.
    UnknownLink,
    /// A header was cut or contradicts itself.
    Bad(Bad),
}

/// Why decoding stopped: which layer, and which of its lengths did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bad {
    /// Stable kebab-case issue name, for example `tcp-header-cut`.
    pub kind: &'static str,
    pub layer: &'static str,
    /// Offset of the layer in the frame.
    pub offset: u32,
    pub needed: u32,
    pub had: u32,
}
