//! One half of an HTTP/1 connection (RFC 9112): requests or responses, one after the other.

mod body;
pub(super) mod exchange;
mod head;
mod headers;

use super::sniff::{Guess, LONGEST};
use super::{HEAD_BYTES, Mark, Message, Next, Sink};
use body::{Body, Framing, Step};
use exchange::{Asked, Exchange};
pub(super) use head::Side;

/// Reads the messages of one side.
#[derive(Debug)]
pub(super) struct Http {
    side: Side,
    place: Place,
    /// Beginning of a head whose end is still to come.
    head: Vec<u8>,
    first: Mark,
    last: Mark,
    /// Bytes of the message so far, missed ones included.
    wire_bytes: u64,
    /// A message was read: what cannot be read then is worth waiting out.
    spoke: bool,
    /// Messages may have been missed since the last one.
    missed: bool,
}

#[derive(Debug)]
enum Place {
    Head,
    Body(Box<Message>, Body),
    /// Somewhere in a message: waits for a chunk that begins one.
    Lost,
}

impl Http {
    /// `head` are the bytes that were needed to know the side, from frame `first` on.
    pub(super) fn new(side: Side, head: Vec<u8>, first: Mark) -> Http {
        let wire_bytes = head.len() as u64;
        Http { side, place: Place::Head, head, first, last: first, wire_bytes, spoke: false, missed: false }
    }

    /// Takes bytes; tells how many, and what the rest is.
    pub(super) fn feed(&mut self, bytes: &[u8], mark: Mark, exchange: &mut Exchange, sink: &mut Sink) -> (usize, Next) {
        match &mut self.place {
            Place::Lost if matches!(self.side.begins(bytes), Guess::Is(_)) => {
                self.place = Place::Head;
                (0, Next::Same)
            }
            Place::Lost => (bytes.len(), Next::Same),
            Place::Head if self.side == Side::Request && exchange.switched => (0, Next::Nothing),
            Place::Head => self.gather(bytes, mark, exchange, sink),
            Place::Body(message, body) => {
                let (used, step) = body.feed(bytes);
                message.last = mark;
                self.wire_bytes += used as u64;
                match step {
                    Step::More => (used, Next::Same),
                    Step::End => {
                        self.end_body(true, Place::Head, sink);
                        (used, Next::Same)
                    }
                    Step::Broken => {
                        self.end_body(false, Place::Lost, sink);
                        (bytes.len(), Next::Same)
                    }
                }
            }
        }
    }

    fn gather(&mut self, bytes: &[u8], mark: Mark, exchange: &mut Exchange, sink: &mut Sink) -> (usize, Next) {
        let mut head = std::mem::take(&mut self.head);
        let before = head.len();
        let whole = if before == 0 {
            // RFC 9112, section 2.2: empty lines before a message do not count.
            let empty = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if empty > 0 {
                return (empty, Next::Same);
            }
            self.first = mark;
            self.wire_bytes = 0;
            &bytes[..bytes.len().min(HEAD_BYTES)]
        } else {
            head.extend_from_slice(&bytes[..bytes.len().min(HEAD_BYTES - before)]);
            &head[..]
        };
        self.last = mark;
        if before < LONGEST && self.side.begins(whole) == Guess::No {
            return self.give_up(bytes.len());
        }
        match head::end(whole, before.saturating_sub(2)) {
            Some(end) => match head::parse(self.side, &whole[..end], sink.keeps()) {
                Some((message, lengths)) => {
                    self.wire_bytes = end as u64;
                    let message = Message { wire_bytes: end as u64, ..message.between(self.first, mark) };
                    (end - before, self.begin(message, &lengths, exchange, sink))
                }
                None => self.give_up(bytes.len()),
            },
            None if whole.len() == HEAD_BYTES => self.give_up(bytes.len()),
            None => {
                self.wire_bytes = whole.len() as u64;
                self.head = if before == 0 { bytes.to_vec() } else { head };
                (bytes.len(), Next::Same)
            }
        }
    }

    /// The bytes are no message: the end when none was before, else the next chunk may begin one.
    fn give_up(&mut self, length: usize) -> (usize, Next) {
        self.place = Place::Lost;
        self.missed = true;
        (length, if self.spoke { Next::Same } else { Next::Nothing })
    }

    /// A head is read: what follows it?
    fn begin(&mut self, message: Message, lengths: &head::Lengths, exchange: &mut Exchange, sink: &mut Sink) -> Next {
        let asked = self.note(&message, exchange);
        let (framing, next) = match (self.side, message.status.unwrap_or_default()) {
            // RFC 9110, section 9.3.6: a tunnel follows, and if it was refused, another request.
            (Side::Request, _) if asked == Asked::Connect => (Some(Framing::Length(0)), Next::Any),
            (Side::Request, _) => (body::of_request(lengths), Next::Same),
            (Side::Response, 101) => {
                exchange.switched = true;
                (Some(Framing::Length(0)), Next::Nothing)
            }
            (Side::Response, 200..=299) if asked == Asked::Connect => (Some(Framing::Length(0)), Next::Any),
            (Side::Response, status) => (body::of_response(lengths, status, asked), Next::Same),
        };
        self.place = match framing {
            Some(Framing::Length(0)) => {
                sink.add(Message { complete: true, ..message });
                Place::Head
            }
            Some(framing) => Place::Body(Box::new(message), Body::new(framing)),
            None => {
                sink.add(message);
                self.missed = true;
                Place::Lost
            }
        };
        next
    }

    /// Tells the other half of a request, or asks it what a response answers.
    fn note(&mut self, message: &Message, exchange: &mut Exchange) -> Asked {
        self.spoke = true;
        let missed = std::mem::take(&mut self.missed);
        match self.side {
            Side::Request => {
                let asked = Asked::by(message.method.as_deref().unwrap_or_default());
                exchange.push(asked);
                asked
            }
            // RFC 9110, section 15.2: an interim response comes before the one that answers.
            Side::Response if matches!(message.status, Some(100..=199)) => Asked::Other,
            Side::Response => {
                if missed {
                    exchange.keep_newest();
                }
                exchange.pop()
            }
        }
    }

    fn end_body(&mut self, ended: bool, then: Place, sink: &mut Sink) {
        self.missed |= matches!(then, Place::Lost);
        if let Place::Body(message, body) = std::mem::replace(&mut self.place, then) {
            let (body_bytes, wire_bytes) = (body.seen, self.wire_bytes);
            sink.add(Message { body_bytes, wire_bytes, complete: ended && !body.holed, ..*message });
        }
    }

    /// So many bytes were missed.
    pub(super) fn gap(&mut self, length: u64, exchange: &mut Exchange, sink: &mut Sink) {
        match &mut self.place {
            Place::Lost => (),
            Place::Head => {
                self.place = Place::Lost;
                self.wire_bytes += length;
                if let Some(message) = self.cut() {
                    self.note(&message, exchange);
                    sink.add(message);
                }
                self.missed = true;
            }
            Place::Body(_, body) => {
                self.wire_bytes += length;
                match body.gap(length) {
                    Step::More => (),
                    Step::End => self.end_body(false, Place::Head, sink),
                    Step::Broken => self.end_body(false, Place::Lost, sink),
                }
            }
        }
    }

    /// No more bytes: an unfinished message is told as far as it came.
    pub(super) fn finish(&mut self, closed: bool, sink: &mut Sink) {
        match &self.place {
            Place::Body(_, body) => {
                let ended = closed && body.until_close();
                self.end_body(ended, Place::Lost, sink);
            }
            Place::Head => self.cut().into_iter().for_each(|message| sink.add(message)),
            Place::Lost => (),
        }
    }

    /// What there is of an unfinished head.
    fn cut(&mut self) -> Option<Message> {
        let head = std::mem::take(&mut self.head);
        let message = head::partial(self.side, &head)?.between(self.first, self.last);
        Some(Message { wire_bytes: self.wire_bytes, ..message })
    }
}
