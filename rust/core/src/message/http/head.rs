//! The head of an HTTP/1 message: start line and headers (RFC 9112, sections 2 to 5), read by httparse.

use super::super::sniff::{Guess, Protocol, sniff};
use super::super::{Message, text};
use super::headers;

/// Most bytes of a request target kept.
const TARGET_BYTES: usize = 2048;
const FEW_HEADERS: usize = 64;
const MANY_HEADERS: usize = 256;

/// Which of the two an HTTP half sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Side {
    Request,
    Response,
}

impl Side {
    /// Whether bytes begin a message of this side.
    pub(super) fn begins(self, bytes: &[u8]) -> Guess {
        match (self, sniff(bytes)) {
            (Side::Request, Guess::Is(Protocol::HttpRequest)) => Guess::Is(Protocol::HttpRequest),
            (Side::Response, Guess::Is(Protocol::HttpResponse)) => Guess::Is(Protocol::HttpResponse),
            (_, Guess::NeedMore) => Guess::NeedMore,
            _ => Guess::No,
        }
    }
}

/// What the headers say of the content's length (RFC 9112, sections 6.1 and 6.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    /// The last transfer coding is chunked.
    pub(super) chunked: bool,
    /// There is a transfer coding.
    pub(super) coded: bool,
    pub(super) length: Option<u64>,
    /// Content-Length is no number, or two different ones.
    pub(super) invalid: bool,
}

/// Index behind the empty line that ends a head; looks from `from` on.
///
/// A single LF ends a line too (RFC 9112, section 2.2).
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == b'\n')? + 1;
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => (),
        }
    }
}

/// Reads a whole head, its empty line included; its texts only when the message will be kept.
pub(super) fn parse(side: Side, head: &[u8], keep: bool) -> Option<(Message, Lengths)> {
    read(side, head, keep).or_else(|| {
        // Scanners send targets with spaces or of no known encoding; servers answer, so the request counts.
        let line = &head[..head.iter().position(|byte| *byte == b'\n')?];
        let target = line.iter().position(|byte| *byte == b' ')? + 1..line.iter().rposition(|byte| *byte == b' ')?;
        let raw = head.get(target.clone()).filter(|_| side == Side::Request)?.trim_ascii();
        let plain = [&head[..target.start], b"/", &head[target.end..]].concat();
        let (message, lengths) = read(side, &plain, keep)?;
        Some((Message { target: Some(text(raw, TARGET_BYTES)), ..message }, lengths))
    })
}

fn read(side: Side, head: &[u8], keep: bool) -> Option<(Message, Lengths)> {
    match attempt(side, head, keep, &mut [httparse::EMPTY_HEADER; FEW_HEADERS]) {
        Err(httparse::Error::TooManyHeaders) => attempt(side, head, keep, &mut [httparse::EMPTY_HEADER; MANY_HEADERS]),
        other => other,
    }
    .ok()
    .flatten()
}

/// As servers and clients are, not as they should be: an analyser that is stricter than both sees less than they did.
fn config() -> httparse::ParserConfig {
    let mut config = httparse::ParserConfig::default();
    config
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_space_before_first_header_name(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_requests(true)
        .ignore_invalid_headers_in_responses(true);
    config
}

fn attempt<'h>(
    side: Side,
    head: &'h [u8],
    keep: bool,
    room: &mut [httparse::Header<'h>],
) -> Result<Option<(Message, Lengths)>, httparse::Error> {
    let (mut message, headers) = match side {
        Side::Request => {
            let mut request = httparse::Request::new(room);
            if config().parse_request(&mut request, head)?.is_partial() {
                return Ok(None);
            }
            let method = request.method.map(str::to_owned);
            let target = request.path.filter(|_| keep).map(|path| text(path.as_bytes(), TARGET_BYTES));
            (Message { method, target, ..Message::new("http-request") }, request.headers)
        }
        Side::Response => {
            let mut response = httparse::Response::new(room);
            if config().parse_response(&mut response, head)?.is_partial() {
                return Ok(None);
            }
            (Message { status: response.code, ..Message::new("http-response") }, response.headers)
        }
    };
    if keep {
        message.headers = headers::kept(headers);
    }
    Ok(Some((message, lengths(headers))))
}

fn lengths(headers: &[httparse::Header]) -> Lengths {
    let mut lengths = Lengths::default();
    for header in headers {
        if header.name.eq_ignore_ascii_case("Transfer-Encoding") {
            let last = header.value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            lengths.chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            lengths.coded = true;
        } else if header.name.eq_ignore_ascii_case("Content-Length") {
            // RFC 9110, section 8.6: the same number several times is allowed.
            for value in header.value.split(|byte| *byte == b',') {
                let digits = std::str::from_utf8(value.trim_ascii()).ok().filter(|digits| !digits.starts_with('+'));
                let number = digits.and_then(|digits| digits.parse().ok());
                lengths.invalid |= number.is_none() || lengths.length.is_some_and(|other| Some(other) != number);
                lengths.length = number;
            }
        }
    }
    lengths
}

/// Reads what there is of a head that was cut: whole lines, or the beginning of the first.
pub(super) fn partial(side: Side, bytes: &[u8]) -> Option<Message> {
    if !matches!(side.begins(bytes), Guess::Is(_)) {
        return None;
    }
    if let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') {
        let lines = [&bytes[..=last], b"\r\n"].concat();
        return parse(side, &lines, true).map(|(message, _)| message);
    }
    let mut words = bytes.split(|byte| *byte == b' ');
    let (first, second) = (words.next()?, words.next().unwrap_or_default());
    Some(match side {
        Side::Request => Message {
            method: Some(text(first, TARGET_BYTES)),
            target: Some(text(second.trim_ascii_end(), TARGET_BYTES)).filter(|target| !target.is_empty()),
            ..Message::new("http-request")
        },
        Side::Response => {
            let digits = second.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
            let status = digits.and_then(|digits| digits.parse().ok()).filter(|status| (100..=999).contains(status));
            Message { status, ..Message::new("http-response") }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_an_empty_line() {
        for (head, length) in [("GET / HTTP/1.1\r\n\r\nx", 18), ("A: b\n\nx", 6), ("A: b\n\r\n", 7)] {
            let bytes = head.as_bytes();
            assert_eq!(end(bytes, 0), Some(length));
            assert!((0..length).all(|cut| end(&bytes[..cut], 0).is_none()));
            // However the bytes came, two back from the new ones is enough.
            assert!((0..length).all(|cut| end(bytes, cut.saturating_sub(2)) == Some(length)));
        }
    }

    #[test]
    fn lengths_follow_the_headers() {
        let of =
            |lines: &str| parse(Side::Response, format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes(), true).unwrap().1;
        assert_eq!(of("content-length: 5, 5\r\n").length, Some(5));
        assert!(of("Content-Length: 5\r\nContent-Length: 6\r\n").invalid);
        assert!(of("Content-Length: +5\r\n").invalid && of("Content-Length: \r\n").invalid);
        assert!(of("Transfer-Encoding: gzip, Chunked\r\n").chunked);
        assert!(!of("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n").chunked);
    }

    #[test]
    fn many_headers_and_odd_ones_are_read() {
        let many = "X-Filler: 1\r\n".repeat(200);
        let head = format!("GET /a?b HTTP/1.1\r\n folded: no\r\nbad header\r\n{many}Host: h\r\n\r\n");
        let (message, _) = parse(Side::Request, head.as_bytes(), true).unwrap();
        assert_eq!((message.target.as_deref(), &message.headers[..]), (Some("/a?b"), &["Host: h".to_owned()][..]));
        assert!(parse(Side::Request, format!("GET / HTTP/1.1\r\n{many}{many}\r\n").as_bytes(), true).is_none());
    }

    #[test]
    fn an_odd_target_is_still_a_request() {
        let target = |head: &[u8]| parse(Side::Request, head, true).and_then(|(message, _)| message.target);
        assert_eq!(target(b"GET /a b HTTP/1.1\r\n\r\n").as_deref(), Some("/a b"));
        assert_eq!(target(b"GET /\xff HTTP/1.0\r\n\r\n").as_deref(), Some("/\u{fffd}"));
        assert_eq!(target(b"GET  HTTP/1.0\r\n\r\n").as_deref(), Some(""));
        assert_eq!([target(b"GET / RTSP/1.0\r\n\r\n"), target(b"GET /\r\n\r\n")], [None, None]);
    }

    #[test]
    fn a_cut_head_tells_what_it_can() {
        let request = |bytes: &[u8]| partial(Side::Request, bytes).map(|m| (m.method, m.target, m.headers.len()));
        assert_eq!(request(b"GE"), None);
        assert_eq!(request(b"GET /lo"), Some((Some("GET".into()), Some("/lo".into()), 0)));
        assert_eq!(request(b"GET / HTTP/1.1\r\nHost: a\r\nVi"), Some((Some("GET".into()), Some("/".into()), 1)));
        assert_eq!(partial(Side::Response, b"HTTP/1.1 404 No").unwrap().status, Some(404));
        assert_eq!(partial(Side::Response, b"HTTP/1.1 4").unwrap().status, None);
    }
}
