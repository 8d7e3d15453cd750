//! Reads one half of a connection: PROXY headers, then HTTP or TLS.

use super::http::{Http, Side};
use super::proxy_protocol::{self, Header};
use super::sniff::{Guess, Protocol, sniff};
use super::tls::{Found, Records};
use super::{Exchange, HEAD_BYTES, MESSAGES_PER_HALF, Mark, Message, Next, Sink};
use crate::flow::stream::Consumer;

/// What the first bytes of a half look like.
#[derive(Debug)]
pub enum Sniff {
    /// None of the protocols.
    No,
    /// Too few bytes to say: [`Parser::undecided`] takes them and decides later.
    NeedMore,
    /// Feed the same bytes to this parser.
    Yes(Parser),
}

/// Whether a parser can use more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    More,
    Done,
}

/// Reads the messages of one half of a connection.
#[derive(Debug)]
pub struct Parser {
    state: State,
    /// Messages met, kept or not.
    met: u64,
}

#[derive(Debug)]
enum State {
    /// The few bytes seen may begin anything.
    Undecided(Gathered),
    Proxy(fn(&[u8]) -> Header, Gathered),
    Tls(Records, Mark, Mark),
    Http(Http),
    Done,
}

/// Bytes from frame `first` to frame `last` that are not enough yet.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    first: Mark,
    last: Mark,
}

impl Gathered {
    /// Adds up to `room` bytes; tells how many.
    fn add(&mut self, bytes: &[u8], mark: Mark, room: usize) -> usize {
        if self.bytes.is_empty() {
            self.first = mark;
        }
        self.last = mark;
        let used = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..used]);
        used
    }
}

impl Parser {
    /// Looks at the first bytes of a half. Takes nothing: they are to be fed then.
    pub fn sniff(first_bytes: &[u8]) -> Sniff {
        match sniff(first_bytes) {
            Guess::No => Sniff::No,
            Guess::NeedMore => Sniff::NeedMore,
            Guess::Is(_) => Sniff::Yes(Parser::undecided()),
        }
    }

    /// A parser that finds out by itself, and is done at once when it is none of the protocols.
    pub fn undecided() -> Parser {
        Parser { state: State::Undecided(Gathered::default()), met: 0 }
    }

    /// Takes the next bytes in order, all of one frame. Both halves get the same `exchange`.
    pub fn feed(&mut self, chunk: &[u8], mark: Mark, exchange: &mut Exchange, out: &mut Vec<Message>) -> Want {
        let mut sink = Sink { out, met: &mut self.met };
        let mut rest = chunk;
        while !rest.is_empty() {
            let used = match &mut self.state {
                State::Done => return Want::Done,
                // Most flows begin with all it takes: nothing is copied then.
                State::Undecided(gathered) if gathered.bytes.is_empty() && sniff(rest) != Guess::NeedMore => {
                    gathered.first = mark;
                    self.state = decide(sniff(rest), std::mem::take(gathered));
                    0
                }
                State::Undecided(gathered) => {
                    gathered.add(rest, mark, 1);
                    self.state = decide(sniff(&gathered.bytes), std::mem::take(gathered));
                    1
                }
                State::Proxy(read, gathered) => {
                    let before = gathered.bytes.len();
                    gathered.add(rest, mark, HEAD_BYTES - before);
                    match read(&gathered.bytes) {
                        Header::NeedMore => rest.len(),
                        Header::Bad => {
                            self.state = State::Done;
                            return Want::Done;
                        }
                        Header::Whole(message, length) => {
                            let message = message.between(gathered.first, mark);
                            sink.add(Message { wire_bytes: length as u64, ..message });
                            self.state = State::Undecided(Gathered::default());
                            length - before
                        }
                    }
                }
                State::Tls(records, first, last) => {
                    *last = mark;
                    let hello = match records.feed(rest) {
                        Found::More => return Want::More,
                        Found::Hello(hello) => Some(*hello),
                        Found::Broken => records.hello(),
                    };
                    hello.into_iter().for_each(|hello| sink.add(hello.between(*first, mark)));
                    self.state = State::Done;
                    return Want::Done;
                }
                State::Http(http) => {
                    let (used, next) = http.feed(rest, mark, exchange, &mut sink);
                    match next {
                        Next::Same => (),
                        Next::Any => self.state = State::Undecided(Gathered::default()),
                        Next::Nothing => self.state = State::Done,
                    }
                    used
                }
            };
            rest = &rest[used..];
        }
        self.want()
    }

    /// So many bytes of the half were missed.
    pub fn gap(&mut self, length: u64, exchange: &mut Exchange, out: &mut Vec<Message>) -> Want {
        let mut sink = Sink { out, met: &mut self.met };
        match &mut self.state {
            State::Http(http) => http.gap(length, exchange, &mut sink),
            State::Undecided(gathered) => *gathered = Gathered::default(),
            // What a snap length cut off ends with its segment, and proxies send the header before anything else.
            State::Proxy(..) => {
                self.cut(length, out);
                self.state = State::Undecided(Gathered::default());
            }
            State::Tls(..) => {
                self.cut(length, out);
                self.state = State::Done;
            }
            State::Done => (),
        }
        self.want()
    }

    /// No more bytes: tells an unfinished message as far as it came.
    ///
    /// `closed` when the half ended with a FIN and everything before it was seen: only then a response that ends with
    /// its connection is complete (RFC 9112, section 8).
    pub fn finish(&mut self, closed: bool, out: &mut Vec<Message>) {
        let mut sink = Sink { out, met: &mut self.met };
        match &mut self.state {
            State::Http(http) => http.finish(closed, &mut sink),
            _ => self.cut(0, out),
        }
        self.state = State::Done;
    }

    /// Whether more bytes are of use.
    pub fn want(&self) -> Want {
        if matches!(self.state, State::Done) { Want::Done } else { Want::More }
    }

    /// Messages that were met beyond [`MESSAGES_PER_HALF`] and not kept.
    pub fn dropped(&self) -> u64 {
        self.met.saturating_sub(u64::from(MESSAGES_PER_HALF))
    }

    /// An unfinished PROXY header or hello, behind which so many bytes were missed.
    fn cut(&mut self, missed: u64, out: &mut Vec<Message>) {
        let message = match &self.state {
            State::Proxy(_, Gathered { bytes, first, last }) => {
                let wire_bytes = bytes.len() as u64 + missed;
                Some(Message { wire_bytes, ..proxy_protocol::partial(bytes).between(*first, *last) })
            }
            State::Tls(records, first, last) => records.hello().map(|hello| hello.between(*first, *last)),
            _ => None,
        };
        message.into_iter().for_each(|message| Sink { out, met: &mut self.met }.add(message));
    }
}

/// What reads on, from the bytes that the decision took.
fn decide(guess: Guess, gathered: Gathered) -> State {
    let first = gathered.first;
    match guess {
        Guess::No => State::Done,
        Guess::NeedMore => State::Undecided(gathered),
        Guess::Is(Protocol::ProxyV1) => State::Proxy(proxy_protocol::v1, gathered),
        Guess::Is(Protocol::ProxyV2) => State::Proxy(proxy_protocol::v2, gathered),
        Guess::Is(Protocol::HttpRequest) => State::Http(Http::new(Side::Request, gathered.bytes, first)),
        Guess::Is(Protocol::HttpResponse) => State::Http(Http::new(Side::Response, gathered.bytes, first)),
        Guess::Is(Protocol::Tls) => {
            let mut records = Records::default();
            // A record header and a byte: no hello ends here.
            records.feed(&gathered.bytes);
            State::Tls(records, first, gathered.last)
        }
    }
}

/// A parser with what it needs to take the bytes of a [`Stream`](crate::flow::stream::Stream).
#[derive(Debug)]
pub struct Reading<'a> {
    pub parser: &'a mut Parser,
    pub exchange: &'a mut Exchange,
    pub out: &'a mut Vec<Message>,
}

impl Consumer for Reading<'_> {
    fn data(&mut self, chunk: &[u8], mark: Mark) {
        self.parser.feed(chunk, mark, self.exchange, self.out);
    }

    fn gap(&mut self, length: u64) {
        self.parser.gap(length, self.exchange, self.out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tls;
    use super::*;

    #[test]
    fn a_gap_is_survived_where_the_next_message_begins() {
        let (mut parser, mut exchange, mut out) = (Parser::undecided(), Exchange::default(), Vec::new());
        let mut feed = |parser: &mut Parser, bytes: &[u8], gap| {
            parser.feed(bytes, Mark::default(), &mut exchange, &mut out);
            parser.gap(gap, &mut exchange, &mut out);
        };
        feed(&mut parser, b"GET /cut HTTP/1.1\r\nHost: a\r\nUser-Ag", 300);
        feed(&mut parser, b"GET /next HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12", 3);
        feed(&mut parser, b"67890GET /after HTTP/1.1\r\n\r\n", 5);
        feed(&mut parser, b"lost GET /no HTTP/1.1\r\n\r\n", 1);
        parser.finish(true, &mut out);
        let seen: Vec<_> = out.iter().map(|m| (m.target.as_deref().unwrap(), m.body_bytes, m.complete)).collect();
        assert_eq!(seen, [("/cut", 0, false), ("/next", 0, true), ("/", 7, false), ("/after", 0, true)]);
    }

    #[test]
    fn what_is_unfinished_is_told_as_such() {
        let cut = |bytes: &[u8], closed| {
            let (mut parser, mut out) = (Parser::undecided(), Vec::new());
            parser.feed(bytes, Mark::default(), &mut Exchange::default(), &mut out);
            parser.finish(closed, &mut out);
            out.pop().map(|message| (message.kind, message.body_bytes, message.complete))
        };
        assert_eq!(cut(b"HTTP/1.0 200 OK\r\n\r\nabc", true), Some(("http-response", 3, true)));
        assert_eq!(cut(b"HTTP/1.0 200 OK\r\n\r\nabc", false), Some(("http-response", 3, false)));
        assert_eq!(cut(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", true), Some(("http-response", 3, false)));
        assert_eq!(cut(b"GET / HT", true), Some(("http-request", 0, false)));
        assert_eq!(cut(b"GET", true), None);
        assert_eq!(cut(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x0a\0", true), Some(("proxy-v2", 0, false)));
        assert_eq!(cut(&tls::tests::records(b"a", 99)[..20], true), Some(("tls-client-hello", 0, false)));
    }

    #[test]
    fn lengths_on_the_wire_are_told_of_what_was_cut_too() {
        let (mut parser, mut exchange, mut out) = (Parser::undecided(), Exchange::default(), Vec::new());
        let mut feed = |bytes: &[u8], missed| {
            parser.feed(bytes, Mark::default(), &mut exchange, &mut out);
            if missed > 0 {
                parser.gap(missed, &mut exchange, &mut out);
            }
        };
        feed(b"PROXY TCP4 192.0.2.1 19", 20);
        feed(b"GET /cut HTTP/1.", 30);
        feed(b"POST /whole HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 0);
        feed(b"POST /body HTTP/1.1\r\nContent-Length: 10\r\n\r\n1", 9);
        let seen: Vec<_> = out.iter().map(|m| (m.kind, m.src.as_deref(), m.wire_bytes, m.complete)).collect();
        let (cut, request) = ("proxy-v1", "http-request");
        let expected = [
            (cut, Some("192.0.2.1"), 43, false),
            (request, None, 46, false),
            (request, None, 48, true),
            (request, None, 53, false),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn messages_and_heads_are_bounded() {
        let (mut parser, mut exchange, mut out) = (Parser::undecided(), Exchange::default(), Vec::new());
        for _ in 0..1_005 {
            parser.feed(b"GET / HTTP/1.1\r\n\r\n", Mark::default(), &mut exchange, &mut out);
        }
        assert_eq!((out.len(), parser.dropped()), (1_000, 5));
        let endless = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; HEAD_BYTES]].concat();
        for size in [1, 1000, endless.len()] {
            let mut parser = Parser::undecided();
            let mut wants = endless.chunks(size).map(|c| parser.feed(c, Mark::default(), &mut exchange, &mut out));
            assert!(wants.any(|want| want == Want::Done));
        }
    }
}
