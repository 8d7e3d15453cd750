//! Which protocol the first bytes belong to. Runs on every flow, so the first byte decides most of it.

/// Longest beginning that a decision needs: the signature of PROXY v2 and its version.
pub(super) const LONGEST: usize = 13;

/// PROXY protocol, section 2.2: twelve bytes that no other protocol begins with.
pub(super) const PROXY_V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The protocols that have a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    ProxyV1,
    ProxyV2,
    HttpRequest,
    HttpResponse,
    Tls,
}

/// What the bytes so far allow to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    No,
    NeedMore,
    Is(Protocol),
}

/// Decides on as many bytes as it takes; more bytes never change a decision.
pub(super) fn sniff(bytes: &[u8]) -> Guess {
    match bytes.first() {
        None => Guess::NeedMore,
        Some(0x16) => hello(bytes),
        Some(b'\r') => proxy_v2(bytes),
        Some(first) => words(*first, bytes),
    }
}

/// A handshake record (RFC 8446, section 5.1) that begins with a ClientHello or a ServerHello (section 4).
fn hello(bytes: &[u8]) -> Guess {
    let fits = |at: usize, good: fn(u8) -> bool| bytes.get(at).is_none_or(|byte| good(*byte));
    // 0x0300 is how the oldest clients and 0x0301 how most of today's write the version of the first record.
    let fit = fits(1, |major| major == 3)
        && fits(2, |minor| minor <= 4)
        && fits(3, |high| high <= 0x40)
        && fits(5, |kind| kind == 1 || kind == 2);
    match (fit, bytes.len()) {
        (false, _) => Guess::No,
        (true, ..6) => Guess::NeedMore,
        (true, _) => Guess::Is(Protocol::Tls),
    }
}

fn proxy_v2(bytes: &[u8]) -> Guess {
    let seen = bytes.len().min(PROXY_V2.len());
    match bytes.get(PROXY_V2.len()).map(|version| version >> 4) {
        _ if bytes[..seen] != PROXY_V2[..seen] => Guess::No,
        None => Guess::NeedMore,
        Some(2) => Guess::Is(Protocol::ProxyV2),
        Some(_) => Guess::No,
    }
}

/// Methods of RFC 9110 (section 9.3), RFC 5789 and WebDAV (RFC 4918, RFC 3253, RFC 5323) with the space that ends them,
/// and the two other words, by first letter.
fn candidates(first: u8) -> &'static [(&'static [u8], Protocol)] {
    use Protocol::{HttpRequest, HttpResponse, ProxyV1};
    match first {
        b'C' => &[(b"CONNECT ", HttpRequest), (b"COPY ", HttpRequest)],
        b'D' => &[(b"DELETE ", HttpRequest)],
        b'G' => &[(b"GET ", HttpRequest)],
        b'H' => &[(b"HTTP/1.", HttpResponse), (b"HEAD ", HttpRequest)],
        b'L' => &[(b"LOCK ", HttpRequest)],
        b'M' => &[(b"MKCOL ", HttpRequest), (b"MOVE ", HttpRequest)],
        b'O' => &[(b"OPTIONS ", HttpRequest)],
        b'P' => &[
            (b"POST ", HttpRequest),
            (b"PUT ", HttpRequest),
            (b"PATCH ", HttpRequest),
            (b"PROPFIND ", HttpRequest),
            (b"PROPPATCH ", HttpRequest),
            (b"PROXY ", ProxyV1),
        ],
        b'R' => &[(b"REPORT ", HttpRequest)],
        b'S' => &[(b"SEARCH ", HttpRequest)],
        b'T' => &[(b"TRACE ", HttpRequest)],
        b'U' => &[(b"UNLOCK ", HttpRequest)],
        _ => &[],
    }
}

fn words(first: u8, bytes: &[u8]) -> Guess {
    let mut guess = Guess::No;
    let second = bytes.get(1);
    for (word, protocol) in candidates(first) {
        // Spares most of the comparisons of slices.
        if second.is_some_and(|byte| *byte != word[1]) {
            continue;
        }
        if bytes.starts_with(word) {
            return Guess::Is(*protocol);
        }
        if word.starts_with(bytes) {
            guess = Guess::NeedMore;
        }
    }
    guess
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_is_known_by_its_first_bytes() {
        for (bytes, protocol) in [
            (b"PROXY TCP4".as_slice(), Protocol::ProxyV1),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", Protocol::ProxyV2),
            (b"PROPFIND / HTTP/1.1", Protocol::HttpRequest),
            (b"HEAD / HTTP/1.0", Protocol::HttpRequest),
            (b"HTTP/1.1 200 OK", Protocol::HttpResponse),
            (b"\x16\x03\x01\x02\x00\x01\x00", Protocol::Tls),
            (b"\x16\x03\x03\x00\x7a\x02\x00", Protocol::Tls),
        ] {
            assert_eq!(sniff(bytes), Guess::Is(protocol));
            let decided = (0..=bytes.len()).find(|&length| sniff(&bytes[..length]) != Guess::NeedMore).unwrap();
            assert!(decided <= LONGEST, "{protocol:?} takes {decided} bytes");
            assert!((decided..bytes.len()).all(|length| sniff(&bytes[..length]) == Guess::Is(protocol)));
        }
    }

    #[test]
    fn what_only_looks_alike_is_refused() {
        for bytes in [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
            b"SSH-2.0-OpenSSH",
            b"GETX / HTTP/1.1",
            b"get / HTTP/1.1",
            b"HTTP/2 200",
            b"\r\n\r\n\0\r\nQUIT\n\x11",
            b"\x16\x03\x05",
            b"\x16\x03\x03\x00\x7a\x0b",
            b"\x17\x03\x03",
            b"\0",
        ] {
            assert_eq!(sniff(bytes), Guess::No, "{bytes:?}");
        }
    }
}
