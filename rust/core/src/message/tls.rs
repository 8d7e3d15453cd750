//! TLS hellos: the server name and the randoms, which every copy of a passed-through connection shares.

use super::proxy_protocol::hex;
use super::{HEAD_BYTES, Message, text};

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// Record type of handshake messages (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// Longest host name in DNS.
const NAME_BYTES: usize = 255;
/// The random of a HelloRetryRequest (RFC 8446, section 4.1.3) begins with this: the same on every connection.
const RETRY: [u8; 8] = [0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11];

/// Puts the first handshake message together from records, of which it may need several (RFC 8446, section 5.1).
#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; 5],
    header_seen: usize,
    /// Bytes of the current record still to come.
    left: usize,
    message: Vec<u8>,
}

/// What [`Records::feed`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    More,
    Hello(Box<Message>),
    /// No handshake record, or a message too long: what was read until then.
    Broken,
}

impl Records {
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Found {
        while let [byte, rest @ ..] = bytes {
            if self.left == 0 {
                self.header[self.header_seen] = *byte;
                self.header_seen += 1;
                bytes = rest;
                if self.header_seen == self.header.len() {
                    self.left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
                    self.header_seen = 0;
                    if self.header[0] != HANDSHAKE || self.left == 0 {
                        return Found::Broken;
                    }
                }
                continue;
            }
            let (fragment, after) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= fragment.len();
            self.message.extend_from_slice(&fragment[..fragment.len().min(HEAD_BYTES - self.message.len())]);
            bytes = after;
            if let [_, high, middle, low, body @ ..] = &self.message[..] {
                let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
                if length + 4 > HEAD_BYTES {
                    return Found::Broken;
                }
                if body.len() >= length {
                    self.message.truncate(length + 4);
                    let hello = self.hello().map(|hello| Message { complete: true, ..hello });
                    return hello.map_or(Found::Broken, |hello| Found::Hello(Box::new(hello)));
                }
            }
        }
        Found::More
    }

    /// What the bytes so far tell.
    pub(super) fn hello(&self) -> Option<Message> {
        let (kind, client) = match *self.message.first()? {
            CLIENT_HELLO => ("tls-client-hello", true),
            SERVER_HELLO => ("tls-server-hello", false),
            _ => return None,
        };
        let mut message = Message::new(kind);
        // Message header (4), legacy version (2), random (32): RFC 8446, sections 4.1.2 and 4.1.3.
        message.token = self.message.get(6..38).filter(|random| !random.starts_with(&RETRY)).map(hex);
        if client {
            message.sni = self.message.get(38..).and_then(server_name).map(|name| text(name, NAME_BYTES));
        }
        Some(message)
    }
}

/// Goes from the session id of a ClientHello to the first host name (RFC 6066, section 3).
fn server_name(bytes: &[u8]) -> Option<&[u8]> {
    let (_session, rest) = counted::<1>(bytes)?;
    let (_ciphers, rest) = counted::<2>(rest)?;
    let (_compression, rest) = counted::<1>(rest)?;
    // The hello may be cut behind the name, so the length of all extensions is not asked to hold.
    let mut extensions = rest.get(2..)?;
    loop {
        let kind = extensions.first_chunk::<2>()?;
        let (extension, after) = counted::<2>(&extensions[2..])?;
        if *kind == [0, 0] {
            let (names, _) = counted::<2>(extension)?;
            return match names {
                [0, name @ ..] => Some(counted::<2>(name)?.0),
                _ => None,
            };
        }
        extensions = after;
    }
}

/// Splits off a vector whose length is in the first `N` bytes (RFC 8446, section 3.4).
fn counted<const N: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = bytes.first_chunk::<N>()?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    bytes[N..].split_at_checked(length)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn vector(width: usize, body: &[u8]) -> Vec<u8> {
        [&body.len().to_be_bytes()[8 - width..], body].concat()
    }

    /// A ClientHello message without records.
    fn hello(name: &[u8]) -> Vec<u8> {
        let names = vector(2, &[&[0], vector(2, name).as_slice()].concat());
        let extensions = [b"\x00\x2b\x00\x01\x00\x00\x00".as_slice(), &vector(2, &names)].concat();
        let random: Vec<u8> = (0..32).collect();
        let body = [b"\x03\x03", &random[..], b"\x01\xff\x00\x02\x13\x01\x01\x00", &vector(2, &extensions)].concat();
        [&[CLIENT_HELLO], vector(3, &body).as_slice()].concat()
    }

    /// The same in records of at most `size` bytes.
    pub(in super::super) fn records(name: &[u8], size: usize) -> Vec<u8> {
        let record = |part: &[u8]| [b"\x16\x03\x01".as_slice(), &vector(2, part)].concat();
        hello(name).chunks(size).flat_map(record).collect()
    }

    #[test]
    fn a_hello_may_come_in_many_records() {
        for size in [1, 7, 1000] {
            let Found::Hello(message) = Records::default().feed(&records(b"www.example", size)) else {
                panic!("records of {size}")
            };
            assert_eq!(message.sni.as_deref(), Some("www.example"));
            assert!(message.token.is_some_and(|token| token.len() == 64 && token.starts_with("000102")));
        }
    }

    #[test]
    fn a_cut_hello_keeps_what_it_has() {
        let mut reader = Records::default();
        let bytes = records(b"www.example", 1000);
        assert_eq!(reader.feed(&bytes[..60]), Found::More);
        assert!(reader.hello().is_some_and(|message| message.token.is_some() && message.sni.is_none()));
        assert_eq!(reader.feed(b""), Found::More);
    }

    #[test]
    fn a_retry_request_has_no_token_of_its_own() {
        let mut random = [0; 32];
        random[..8].copy_from_slice(&RETRY);
        let message = [b"\x02\x00\x00\x26\x03\x03".as_slice(), &random, &[0; 4]].concat();
        let bytes = [b"\x16\x03\x03\x00\x2a".as_slice(), &message].concat();
        let Found::Hello(message) = Records::default().feed(&bytes) else { panic!("no hello") };
        assert_eq!((message.kind, message.token), ("tls-server-hello", None));
    }

    #[test]
    fn what_is_no_handshake_is_broken() {
        assert_eq!(Records::default().feed(b"\x15\x03\x01\x00\x02\x02\x28"), Found::Broken);
        assert_eq!(Records::default().feed(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff"), Found::Broken);
    }
}
