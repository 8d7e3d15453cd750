//! Which headers leave the core: those that rules and joins read, and what may be an id both legs share.

use super::super::text;

/// Most headers kept for their name, for their value, and for a value that is short for an id.
const BY_NAME: usize = 16;
const BY_VALUE: usize = 4;
const BY_SHORT_VALUE: usize = 4;
/// Most bytes of one kept header.
const HEADER_BYTES: usize = 512;

/// Read by rules (probes, redirects, refusals) and joins (forwarded-for, request ids).
const KEPT: [&str; 22] = [
    "Host",
    "User-Agent",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "Forwarded",
    "Via",
    "X-Real-IP",
    "X-Request-Id",
    "X-Correlation-Id",
    "traceparent",
    "X-Azure-Ref",
    "X-Azure-FDID",
    "X-Azure-ClientIP",
    "X-Azure-SocketIP",
    "X-FD-HealthProbe",
    "X-Amzn-Trace-Id",
    "X-Cloud-Trace-Context",
    "Connection",
    "Location",
    "Server",
    "WWW-Authenticate",
];

/// Values that look like an id and are none, or are secrets.
const STATIC: [&str; 18] = [
    "Age",
    "Allow",
    "Alt-Svc",
    "Authorization",
    "Cookie",
    "Date",
    "DNT",
    "ETag",
    "Expires",
    "Keep-Alive",
    "Last-Modified",
    "Pragma",
    "Proxy-Authorization",
    "Range",
    "Set-Cookie",
    "Transfer-Encoding",
    "Upgrade",
    "Vary",
];
const STATIC_FAMILIES: [&str; 6] = ["Content-", "Accept", "Access-Control-", "Cache-", "If-", "Sec-"];

/// The kept ones of a message's headers, as `name: value`, in the order sent.
pub(super) fn kept(headers: &[httparse::Header]) -> Vec<String> {
    let (mut names, mut values, mut short_values) = (BY_NAME, BY_VALUE, BY_SHORT_VALUE);
    let mut keep = |header: &&httparse::Header| {
        let left = if KEPT.iter().any(|name| name.eq_ignore_ascii_case(header.name)) {
            &mut names
        } else if values > 0 && looks_unique(header.value) && !is_static(header.name) {
            &mut values
        } else if short_values > 0 && looks_short(header.value) && !is_static(header.name) {
            &mut short_values
        } else {
            return false;
        };
        let keep = *left > 0;
        *left = left.saturating_sub(1);
        keep
    };
    headers.iter().filter(|header| keep(header)).map(line).collect()
}

fn line(header: &httparse::Header) -> String {
    let name = header.name.get(..header.name.len().min(HEADER_BYTES - 2)).unwrap_or_default();
    let value = text(header.value, HEADER_BYTES - 2 - name.len());
    [name, ": ", &value].concat()
}

fn looks_unique(value: &[u8]) -> bool {
    let ok = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:+/={}-".contains(byte);
    (8..=128).contains(&value.len()) && value.iter().all(ok) && value.iter().any(u8::is_ascii_digit)
}

/// Letters and digits: a counter or a flag has one kind only.
fn looks_short(value: &[u8]) -> bool {
    let ok = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:-".contains(byte);
    (3..8).contains(&value.len())
        && value.iter().all(ok)
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
}

fn is_static(name: &str) -> bool {
    let family = |family: &&str| name.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family));
    STATIC.iter().any(|other| other.eq_ignore_ascii_case(name)) || STATIC_FAMILIES.iter().any(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(headers: &[(&str, &str)]) -> Vec<String> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| httparse::Header { name, value: value.as_bytes() }).collect();
        kept(&headers)
    }

    #[test]
    fn known_names_and_likely_ids_stay() {
        let sent = [
            ("hOST", "a"),
            ("Date", "12345678"),
            ("X-Trace", "abc-1234"),
            ("X-Mode", "abcdefgh"),
            ("Content-MD5", "1234567890"),
            ("X-Text", "value 12345"),
            ("If-Match", "12345678"),
            ("X-Call", "c-7"),
            ("X-Count", "1234"),
            ("X-Blob", "aGVsbG8x/+=="),
        ];
        assert_eq!(lines(&sent), ["hOST: a", "X-Trace: abc-1234", "X-Call: c-7", "X-Blob: aGVsbG8x/+=="]);
    }

    #[test]
    fn number_and_size_are_bounded() {
        let long = "é".repeat(600);
        let many: Vec<_> = (0..40).flat_map(|_| [("Via", long.as_str()), ("X-Id", "12345678")]).collect();
        let kept = lines(&many);
        assert_eq!(kept.len(), BY_NAME + BY_VALUE);
        assert!(kept.iter().all(|line| line.len() <= HEADER_BYTES));
        let name = "n".repeat(600);
        assert_eq!(lines(&[(&name, "12345678")])[0].len(), HEADER_BYTES);
    }
}
