//! QUIC long headers (RFC 8999, RFC 9000 section 17.2): the connection ids, which a translator leaves alone.
//!
//! Short headers have a connection id too, but nobody outside of the connection knows how long it is.

use super::Message;
use super::proxy_protocol::hex;

/// Longest connection id of the known versions (RFC 9000, section 17.2).
const ID_BYTES: usize = 20;
const V1: u32 = 1;
/// RFC 9369; its packet types are turned by one.
const V2: u32 = 0x6b33_43cf;

/// The long header at the start of a datagram.
pub(super) fn read(bytes: &[u8], wire: usize) -> Option<Message> {
    let &[first, v0, v1, v2, v3] = bytes.first_chunk::<5>()?;
    if first & 0x80 == 0 {
        return None;
    }
    let version = u32::from_be_bytes([v0, v1, v2, v3]);
    let (destination, rest) = id(&bytes[5..])?;
    let (source, rest) = id(rest)?;
    let kind = if version == 0 {
        negotiation(rest, bytes.len() >= wire)?
    } else if known(version) && first & 0x40 != 0 {
        let turned = u8::from(version == V2);
        match (first >> 4 & 3).wrapping_sub(turned) & 3 {
            0 => "quic-initial",
            1 => "quic-0rtt",
            2 => "quic-handshake",
            _ => "quic-retry",
        }
    } else {
        return None;
    };
    // An Initial fills its datagram (RFC 9000, section 14.1) unless it acknowledges only; nothing is shorter than this.
    if version != 0 && wire < bytes.len() - rest.len() + 16 {
        return None;
    }
    let token = if destination.is_empty() { hex(source) } else { hex(destination) };
    Some(Message {
        token: Some(token).filter(|token| !token.is_empty()),
        complete: bytes.len() >= wire,
        ..Message::new(kind)
    })
}

/// A connection id behind its length, and what follows.
fn id(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let length = usize::from(length);
    if length > ID_BYTES { None } else { rest.split_at_checked(length) }
}

/// Versions 1 and 2, and the drafts that were deployed.
fn known(version: u32) -> bool {
    matches!(version, V1 | V2) || (0xff00_0017..=0xff00_0022).contains(&version)
}

/// Version negotiation lists whole numbers (RFC 9000, section 17.2.1), one of them known or reserved.
fn negotiation(versions: &[u8], whole: bool) -> Option<&'static str> {
    let (words, rest) = versions.as_chunks::<4>();
    let usable = |word: &[u8; 4]| known(u32::from_be_bytes(*word)) || word.iter().all(|byte| byte & 0x0f == 0x0a);
    ((rest.is_empty() || !whole) && words.iter().any(usable)).then_some("quic-version-negotiation")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A long header with these connection ids, and a body.
    pub(in super::super) fn packet(first: u8, version: u32, destination: &[u8], source: &[u8], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        bytes.extend_from_slice(&version.to_be_bytes());
        for id in [destination, source] {
            bytes.push(id.len() as u8);
            bytes.extend_from_slice(id);
        }
        [&bytes[..], body].concat()
    }

    fn found(bytes: &[u8]) -> Option<(&'static str, Option<String>)> {
        read(bytes, bytes.len()).map(|message| (message.kind, message.token))
    }

    #[test]
    fn types_and_connection_ids() {
        let token = Some("0102030405060708".to_owned());
        let id = [1, 2, 3, 4, 5, 6, 7, 8];
        for (first, version, kind) in [
            (0xc3, V1, "quic-initial"),
            (0xd0, V1, "quic-0rtt"),
            (0xe1, V1, "quic-handshake"),
            (0xf0, V1, "quic-retry"),
            (0xd3, V2, "quic-initial"),
            (0xc0, V2, "quic-retry"),
            (0xc0, 0xff00_001d, "quic-initial"),
        ] {
            assert_eq!(found(&packet(first, version, &id, b"", &[0; 40])), Some((kind, token.clone())));
        }
        // A server that chose no id of its own is called by the client's.
        assert_eq!(found(&packet(0xc0, V1, b"", &id, &[0; 40])), Some(("quic-initial", token.clone())));
        let listed = packet(0x80, 0, &id, b"x", &[0, 0, 0, 1, 0x1a, 0x2a, 0x3a, 0x4a]);
        assert_eq!(found(&listed), Some(("quic-version-negotiation", token)));
    }

    #[test]
    fn look_alikes_are_left() {
        for bytes in [
            packet(0x43, V1, b"12345678", b"", &[0; 40]),
            packet(0x83, V1, b"12345678", b"", &[0; 40]),
            packet(0xc3, 7, b"12345678", b"", &[0; 40]),
            packet(0xc3, V1, &[0; 21], b"", &[0; 40]),
            packet(0xc3, V1, b"12345678", b"", &[0; 5]),
            packet(0x80, 0, b"12345678", b"", &[0, 0, 0, 1, 0]),
            packet(0x80, 0, b"12345678", b"", &[0, 0, 0, 9]),
        ] {
            assert_eq!(found(&bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_the_snap_length_left_is_enough() {
        let whole = packet(0xc3, V1, b"12345678", b"", &[0; 1200]);
        assert!(read(&whole[..30], whole.len()).is_some_and(|message| !message.complete));
        assert!((0..15).all(|length| read(&whole[..length], whole.len()).is_none()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..100), wire in 0usize..2000) {
            let _ = read(&bytes, wire);
            let _ = read(&packet(0xc0, V1, b"12345678", &[], &bytes), wire);
            let _ = read(&packet(0x80, 0, b"12345678", &[], &bytes), wire);
        }
    }
}
