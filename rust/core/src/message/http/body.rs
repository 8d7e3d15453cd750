//! Where an HTTP message ends (RFC 9112, sections 6 and 7): content is counted, not kept.

use super::exchange::Asked;
use super::head::Lengths;

/// Longest chunk size line, extensions included (RFC 9112, section 7.1.1).
const SIZE_LINE: u16 = 4096;

/// How the end of a message's content is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes to come.
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

/// What comes next of chunked content (RFC 9112, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// A size line, of which so many bytes were read; `digits` is false behind the number.
    Size {
        size: u64,
        read: u16,
        digits: bool,
    },
    Data(u64),
    /// The line end behind a chunk's data.
    DataEnd,
    /// A trailer line of so far `length` bytes; an empty one is the end.
    Trailer {
        length: u16,
    },
}

impl Chunk {
    const FIRST: Chunk = Chunk::Size { size: 0, read: 0, digits: true };
}

/// Framing of a request; None when its lengths contradict each other.
pub(super) fn of_request(lengths: &Lengths) -> Option<Framing> {
    match lengths {
        Lengths { chunked: true, .. } => Some(Framing::Chunked(Chunk::FIRST)),
        Lengths { coded: true, .. } | Lengths { invalid: true, .. } => None,
        Lengths { length, .. } => Some(Framing::Length(length.unwrap_or(0))),
    }
}

/// Framing of a response to what was asked.
pub(super) fn of_response(lengths: &Lengths, status: u16, asked: Asked) -> Option<Framing> {
    if asked == Asked::Head || matches!(status, 100..=199 | 204 | 304) {
        return Some(Framing::Length(0));
    }
    match lengths {
        Lengths { chunked: true, .. } => Some(Framing::Chunked(Chunk::FIRST)),
        Lengths { coded: true, .. } => Some(Framing::UntilClose),
        Lengths { invalid: true, .. } => None,
        Lengths { length: Some(length), .. } => Some(Framing::Length(*length)),
        Lengths { length: None, .. } => Some(Framing::UntilClose),
    }
}

/// How far the content came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    More,
    End,
    /// Not what the framing said.
    Broken,
}

/// The content of one message.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    /// Content bytes seen.
    pub(super) seen: u64,
    /// Some were missed.
    pub(super) holed: bool,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Body {
        Body { framing, seen: 0, holed: false }
    }

    pub(super) fn until_close(&self) -> bool {
        self.framing == Framing::UntilClose
    }

    /// Takes bytes up to the message's end; tells how many.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> (usize, Step) {
        match &mut self.framing {
            Framing::UntilClose => {
                self.seen += bytes.len() as u64;
                (bytes.len(), Step::More)
            }
            Framing::Length(left) => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                self.seen += taken as u64;
                (taken, if *left == 0 { Step::End } else { Step::More })
            }
            Framing::Chunked(chunk) => chunked(chunk, &mut self.seen, bytes),
        }
    }

    /// Bytes were missed: the end is still known when they all were content.
    pub(super) fn gap(&mut self, length: u64) -> Step {
        self.holed = true;
        match &mut self.framing {
            Framing::UntilClose => Step::More,
            Framing::Length(left) | Framing::Chunked(Chunk::Data(left)) if length < *left => {
                *left -= length;
                Step::More
            }
            Framing::Length(left) if length == *left => Step::End,
            Framing::Chunked(chunk @ Chunk::Data(_)) if *chunk == Chunk::Data(length) => {
                *chunk = Chunk::DataEnd;
                Step::More
            }
            _ => Step::Broken,
        }
    }
}

fn chunked(chunk: &mut Chunk, seen: &mut u64, bytes: &[u8]) -> (usize, Step) {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if let Chunk::Data(left) = chunk {
            let taken = (bytes.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= taken as u64;
            *seen += taken as u64;
            at += taken;
            if *left == 0 {
                *chunk = Chunk::DataEnd;
            }
            continue;
        }
        at += 1;
        match next(*chunk, byte) {
            Some(Some(after)) => *chunk = after,
            Some(None) => return (at, Step::End),
            None => return (at, Step::Broken),
        }
    }
    (at, Step::More)
}

/// One byte outside of chunk data: what comes then; `Some(None)` is the end, None is no chunk.
fn next(chunk: Chunk, byte: u8) -> Option<Option<Chunk>> {
    let after = match (chunk, byte) {
        (Chunk::Size { read: SIZE_LINE, .. }, _) => return None,
        (Chunk::Size { read: 0, .. }, _) if !byte.is_ascii_hexdigit() => return None,
        (Chunk::Size { size: 0, .. }, b'\n') => Chunk::Trailer { length: 0 },
        (Chunk::Size { size, .. }, b'\n') => Chunk::Data(size),
        (Chunk::Size { size, read, digits: true }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
            let digit = u64::from(char::from(byte).to_digit(16)?);
            Chunk::Size { size: size.checked_mul(16)? + digit, read: read + 1, digits: true }
        }
        (Chunk::Size { size, read, digits: true }, b';' | b'\r' | b' ' | b'\t') => {
            Chunk::Size { size, read: read + 1, digits: false }
        }
        (Chunk::Size { digits: true, .. }, _) => return None,
        (Chunk::Size { size, read, digits: false }, _) => Chunk::Size { size, read: read + 1, digits: false },
        (Chunk::DataEnd, b'\r') => Chunk::DataEnd,
        (Chunk::DataEnd, b'\n') => Chunk::FIRST,
        (Chunk::DataEnd | Chunk::Data(_), _) => return None,
        (Chunk::Trailer { length: 0 }, b'\n') => return Some(None),
        (Chunk::Trailer { .. }, b'\n') => Chunk::Trailer { length: 0 },
        (Chunk::Trailer { length }, b'\r') => Chunk::Trailer { length },
        (Chunk::Trailer { length }, _) => Chunk::Trailer { length: length.saturating_add(1) },
    };
    Some(Some(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked_body() -> Body {
        Body::new(Framing::Chunked(Chunk::FIRST))
    }

    #[test]
    fn chunks_end_with_an_empty_trailer_line() {
        let bytes = b"5\r\nhello\r\nA ;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\nGET /";
        let mut body = chunked_body();
        assert_eq!((body.feed(bytes), body.seen), ((bytes.len() - 5, Step::End), 15));
        assert_eq!(chunked_body().feed(b"0\r\n\r\n"), (5, Step::End));
    }

    #[test]
    fn what_is_no_chunk_is_broken() {
        for bytes in [b"\r\n".as_slice(), b"g\r\n", b"10000000000000000\r\n", b"1\r\nabc", b"-1\r\n", &[b'0'; 5000]] {
            assert_eq!(chunked_body().feed(bytes).1, Step::Broken);
        }
    }

    #[test]
    fn a_gap_within_known_content_is_survived() {
        let mut body = chunked_body();
        body.feed(b"ff\r\n12345");
        assert_eq!(body.gap(250), Step::More);
        assert_eq!((body.feed(b"\r\n0\r\n\r\n"), body.seen, body.holed), ((7, Step::End), 5, true));
        let mut body = Body::new(Framing::Length(10));
        assert_eq!([body.gap(4), body.gap(6), body.gap(7)], [Step::More, Step::End, Step::Broken]);
        assert_eq!(chunked_body().gap(1), Step::Broken);
    }
}
