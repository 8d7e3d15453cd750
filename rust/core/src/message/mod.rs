//! In-order bytes to application messages: HTTP/1 requests and responses, PROXY headers, TLS hellos. Datagrams to
//! messages: DNS, QUIC.
//!
//! One [`Parser`] reads one half of a connection. It keeps no more than the head of one message; text from packets
//! stays as it was sent, and making it safe to show is the business of whoever shows it. A datagram is a message, and
//! [`datagram`] reads it by itself.

mod dns;
mod http;
mod parser;
mod proxy_protocol;
mod quic;
mod sniff;
mod tls;

pub use crate::flow::stream::Mark;
pub use http::exchange::Exchange;
pub use parser::{Parser, Reading, Sniff, Want};

/// Most messages kept of one half of a flow; the rest is counted.
pub const MESSAGES_PER_HALF: u32 = 1_000;
/// Most bytes kept of a message's head; what is longer is given up.
pub const HEAD_BYTES: usize = 16 * 1024;

/// One application message, as far as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `http-request`, `http-response`, `proxy-v1`, `proxy-v2`, `tls-client-hello`, `tls-server-hello`, `dns-query`,
    /// `dns-response`, or `quic-` with the type of a long header (`initial`, `0rtt`, `handshake`, `retry`,
    /// `version-negotiation`).
    pub kind: &'static str,
    /// Frame of the first byte.
    pub first: Mark,
    /// Frame of the last byte that was seen.
    pub last: Mark,
    /// HTTP method (RFC 9110, section 9), or the type that a DNS question asks for.
    pub method: Option<String>,
    /// HTTP request target (RFC 9112, section 3.2), at most 2,048 bytes; or the name that a DNS question asks for.
    pub target: Option<String>,
    /// HTTP status code (RFC 9110, section 15), or RCODE of a DNS response.
    pub status: Option<u16>,
    /// `name: value` of the HTTP headers that rules or joins read, names as sent.
    pub headers: Vec<String>,
    /// Length of the HTTP content as far as it was seen, without chunk sizes and trailers.
    pub body_bytes: u64,
    /// Length on the wire of an HTTP message or a PROXY header, up to the end of the segment where it was cut; else 0.
    pub wire_bytes: u64,
    /// PROXY source endpoint, `192.0.2.1:5` or `[2001:db8::1]:5`.
    pub src: Option<String>,
    /// PROXY destination endpoint.
    pub dst: Option<String>,
    /// TLS server name (RFC 6066, section 3), or the authority of a PROXY header.
    pub sni: Option<String>,
    /// TLS random (hex), what a PROXY header has to tell connections apart, DNS id (hex), or the connection id that a
    /// QUIC packet is sent to (hex).
    pub token: Option<String>,
    /// False when a gap or the end of the capture cut the message.
    pub complete: bool,
}

impl Message {
    fn new(kind: &'static str) -> Message {
        Message {
            kind,
            first: Mark::default(),
            last: Mark::default(),
            method: None,
            target: None,
            status: None,
            headers: Vec::new(),
            body_bytes: 0,
            wire_bytes: 0,
            src: None,
            dst: None,
            sni: None,
            token: None,
            complete: false,
        }
    }

    fn between(self, first: Mark, last: Mark) -> Message {
        Message { first, last, ..self }
    }
}

/// The message in one datagram of `wire` bytes, of which `bytes` were captured.
pub fn datagram(bytes: &[u8], wire: u32, mark: Mark) -> Option<Message> {
    let wire = wire as usize;
    let message = dns::read(bytes, wire).or_else(|| quic::read(bytes, wire))?;
    Some(message.between(mark, mark))
}

/// Where the parser of one half puts its messages: the first [`MESSAGES_PER_HALF`], the rest counted.
struct Sink<'a> {
    out: &'a mut Vec<Message>,
    met: &'a mut u64,
}

impl Sink<'_> {
    fn keeps(&self) -> bool {
        *self.met < u64::from(MESSAGES_PER_HALF)
    }

    fn add(&mut self, message: Message) {
        if self.keeps() {
            self.out.push(message);
        }
        *self.met += 1;
    }
}

/// What comes after the bytes that a protocol's reader took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// More of the same protocol.
    Same,
    /// Anything: the protocol handed the connection over.
    Any,
    /// Nothing that could be read.
    Nothing,
}

/// Text of packets: lossy UTF-8, at most `limit` bytes.
fn text(bytes: &[u8], limit: usize) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(limit)]).into_owned();
    while text.len() > limit {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x0a\0\0\x01\x0a\0\0\x02\x13\x88\0\x50";
    const REQUESTS: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\nHEAD /a HTTP/1.1\r\nHost: a\r\n\r\n\
        \r\nPOST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\
        PUT /c HTTP/1.1\nTransfer-Encoding: chunked\n\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n\
        GET /d HTTP/1.1\r\nX-Request-Id: r-1\r\n\r\nCONNECT h:443 HTTP/1.1\r\n\r\n";
    const RESPONSES: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\
        HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n\
        a\r\n0123456789\r\n0\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno\
        HTTP/1.1 200 Connected\r\n\r\nHTTP/1.0 500 Oops\r\n\r\nuntil the end";

    /// Feeds both halves, cut at these places; frames are numbered by chunk.
    fn read(requests: &[u8], responses: &[u8], cut: &dyn Fn(usize) -> bool) -> Vec<Message> {
        let (mut out, mut exchange) = (Vec::new(), Exchange::default());
        for bytes in [requests, responses] {
            let mut parser = Parser::undecided();
            let mut from = 0;
            for frame in 1.. {
                let end = (from + 1..bytes.len()).find(|&at| cut(at)).unwrap_or(bytes.len());
                let mark = Mark { frame, ..Mark::default() };
                parser.feed(&bytes[from..end], mark, &mut exchange, &mut out);
                from = end;
                if from == bytes.len() {
                    break;
                }
            }
            parser.finish(true, &mut out);
        }
        out
    }

    fn requests() -> Vec<u8> {
        [V2, REQUESTS, &tls::tests::records(b"www.example", 50)].concat()
    }

    #[test]
    fn one_connection_tells_all_its_messages() {
        let messages = read(&requests(), RESPONSES, &|_| false);
        let line = |m: &Message| match (&m.method, m.status) {
            (Some(method), _) => format!("{method} {} {}", m.target.as_deref().unwrap_or_default(), m.body_bytes),
            (_, Some(status)) => format!("{status} {}", m.body_bytes),
            _ => [m.kind, m.src.as_deref().or(m.sni.as_deref()).unwrap_or_default()].join(" "),
        };
        let expected = "proxy-v2 10.0.0.1:5000|proxy-v1 192.0.2.1:5|HEAD /a 0|POST /b 5|PUT /c 3|GET /d 0|\
            CONNECT h:443 0|tls-client-hello www.example|100 0|200 0|204 0|201 10|404 2|200 0|500 13";
        assert_eq!(messages.iter().map(line).collect::<Vec<_>>().join("|"), expected);
        assert!(messages.iter().all(|message| message.complete));
        assert_eq!(messages[5].headers, ["X-Request-Id: r-1"]);
    }

    proptest! {
        /// Messages are the same however the bytes are cut, and their marks are the frames of their bytes.
        #[test]
        fn cuts_do_not_matter(cuts in prop::collection::btree_set(1usize..600, 0..20)) {
            let requests = requests();
            let mut expected = read(&requests, RESPONSES, &|_| true);
            // Byte by byte, the frame is the byte's number: in which chunk is that?
            let frame = |byte: u64| 1 + cuts.iter().filter(|cut| (**cut as u64) < byte).count() as u64;
            for message in &mut expected {
                message.first.frame = frame(message.first.frame);
                message.last.frame = frame(message.last.frame);
            }
            prop_assert_eq!(read(&requests, RESPONSES, &|at| cuts.contains(&at)), expected);
        }

        /// Any bytes behind any beginning, with any gaps: no panic, and no more memory than a head.
        #[test]
        fn any_bytes_are_survived(
            start in 0usize..8,
            pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..80), any::<u16>(), 0usize..400), 0..12),
        ) {
            let starts = [b"".as_slice(), V2, b"PROXY ", b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200\r\n", REQUESTS, RESPONSES,
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"];
            let (mut parser, mut exchange, mut out) = (Parser::undecided(), Exchange::default(), Vec::new());
            let bytes = starts[start];
            parser.feed(&bytes[..bytes.len().min(pieces.len() * 40)], Mark::default(), &mut exchange, &mut out);
            for (piece, gap, from) in &pieces {
                parser.feed(piece, Mark::default(), &mut exchange, &mut out);
                parser.feed(RESPONSES.get(*from..).unwrap_or_default(), Mark::default(), &mut exchange, &mut out);
                if gap % 3 == 0 {
                    parser.gap(u64::from(*gap), &mut exchange, &mut out);
                }
                let _ = Parser::sniff(piece);
            }
            parser.finish(pieces.len() % 2 == 0, &mut out);
            prop_assert!(out.iter().all(|message| message.headers.len() <= 20));
        }
    }
}
