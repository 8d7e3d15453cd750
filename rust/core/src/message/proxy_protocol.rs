//! The PROXY protocol: who the client of a proxied connection is, in front of the connection's own bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::sniff::PROXY_V2;
use super::{HEAD_BYTES, Message, text};

/// Longest v1 line with its CRLF (section 2.1).
const V1_BYTES: usize = 107;
/// Signature, version and command, family, length (section 2.2).
const V2_FIXED: usize = 16;
/// Most bytes kept of a token or an authority.
const TEXT_BYTES: usize = 512;

/// Result of reading one header from the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    NeedMore,
    Bad,
    /// The message, and how many bytes it took.
    Whole(Box<Message>, usize),
}

/// Version 1 (section 2.1): one line of words.
pub(super) fn v1(bytes: &[u8]) -> Header {
    let line = &bytes[..bytes.len().min(V1_BYTES)];
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if line.len() < V1_BYTES { Header::NeedMore } else { Header::Bad };
    };
    let Some(words) = line[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok()) else {
        return Header::Bad;
    };
    let mut message = Message { complete: true, ..Message::new("proxy-v1") };
    let words: Vec<&str> = words.split(' ').collect();
    match words[..] {
        // Whatever follows is to be ignored.
        ["PROXY", "UNKNOWN", ..] => (),
        ["PROXY", family, src, dst, src_port, dst_port] => {
            let (Some(src), Some(dst)) = (endpoint(family, src, src_port), endpoint(family, dst, dst_port)) else {
                return Header::Bad;
            };
            message.src = Some(src);
            message.dst = Some(dst);
        }
        _ => return Header::Bad,
    }
    Header::Whole(Box::new(message), end + 1)
}

/// What there is of a header that was cut.
///
/// A word of version 1 counts when the blank behind it was seen. An address whose port was cut stands without one.
pub(super) fn partial(bytes: &[u8]) -> Message {
    if bytes.starts_with(b"PROXY") { v1_partial(bytes) } else { v2_partial(bytes) }
}

fn v1_partial(bytes: &[u8]) -> Message {
    let mut message = Message::new("proxy-v1");
    let whole = &bytes[..bytes.iter().rposition(|byte| *byte == b' ').unwrap_or_default()];
    let mut words = std::str::from_utf8(whole).unwrap_or_default().split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    let (src, dst, src_port) = (words.next(), words.next(), words.next());
    message.src = src.and_then(|src| endpoint(family, src, src_port.unwrap_or("0"))).map(|end| told(end, src_port));
    message.dst = dst.and_then(|dst| endpoint(family, dst, "0")).map(|end| told(end, None::<&str>));
    message
}

fn v2_partial(bytes: &[u8]) -> Message {
    let mut message = Message::new("proxy-v2");
    let Some(fixed) = bytes.first_chunk::<V2_FIXED>() else { return message };
    let addresses = match fixed[13] >> 4 {
        1 => 12,
        2 => 36,
        _ => return message,
    };
    let declared = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if fixed[12] & 0x0f != 1 || declared < addresses {
        return message;
    }
    let seen = &bytes[V2_FIXED..];
    let mut padded = seen[..seen.len().min(addresses)].to_vec();
    padded.resize(addresses, 0);
    let Some((src, dst)) = endpoints(&padded) else { return message };
    // Both addresses come before both ports.
    let has = |upto: usize| (seen.len() >= upto).then_some(());
    message.src = has((addresses - 4) / 2).map(|()| told(src.to_string(), has(addresses - 2)));
    message.dst = has(addresses - 4).map(|()| told(dst.to_string(), has(addresses)));
    if let Some(extensions) = seen.get(addresses..) {
        extend(&mut message, extensions);
    }
    message
}

/// An endpoint, or its address alone where the port was not seen.
fn told<T>(end: String, port: Option<T>) -> String {
    match (port, end.rsplit_once(':')) {
        (None, Some((address, _))) => address.trim_matches(['[', ']']).to_owned(),
        _ => end,
    }
}

fn endpoint(family: &str, address: &str, port: &str) -> Option<String> {
    let address: IpAddr = match family {
        "TCP4" => IpAddr::V4(address.parse().ok()?),
        "TCP6" => IpAddr::V6(address.parse().ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(address, port.parse().ok()?).to_string())
}

/// Version 2 (section 2.2): binary, with extensions.
pub(super) fn v2(bytes: &[u8]) -> Header {
    let Some(fixed) = bytes.first_chunk::<V2_FIXED>() else {
        return Header::NeedMore;
    };
    let whole = V2_FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    // LOCAL (0) is the proxy speaking for itself, PROXY (1) speaks for a client.
    let command = fixed[12] & 0x0f;
    if !fixed.starts_with(PROXY_V2) || fixed[12] >> 4 != 2 || command > 1 || whole > HEAD_BYTES {
        return Header::Bad;
    }
    let Some(body) = bytes.get(V2_FIXED..whole) else {
        return Header::NeedMore;
    };
    let mut message = Message { complete: true, ..Message::new("proxy-v2") };
    let addresses = match fixed[13] >> 4 {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    };
    let Some((addresses, extensions)) = body.split_at_checked(addresses) else {
        return Header::Bad;
    };
    if command == 1
        && let Some((src, dst)) = endpoints(addresses)
    {
        message.src = Some(src.to_string());
        message.dst = Some(dst.to_string());
    }
    extend(&mut message, extensions);
    Header::Whole(Box::new(message), whole)
}

fn endpoints(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let port = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let (src, dst, ports): (IpAddr, IpAddr, usize) = match bytes.len() {
        12 => {
            let address = |at: usize| Some(Ipv4Addr::from(*bytes.get(at..)?.first_chunk::<4>()?));
            (address(0)?.into(), address(4)?.into(), 8)
        }
        36 => {
            let address = |at: usize| Some(Ipv6Addr::from(*bytes.get(at..)?.first_chunk::<16>()?));
            (address(0)?.into(), address(16)?.into(), 32)
        }
        _ => return None,
    };
    Some((SocketAddr::new(src, port(ports)?), SocketAddr::new(dst, port(ports + 2)?)))
}

/// Type-length-value extensions (section 2.2.1 and following), with those of AWS and Azure.
fn extend(message: &mut Message, mut bytes: &[u8]) {
    let mut tokens: Vec<String> = Vec::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let Some((value, after)) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))) else {
            break;
        };
        match (kind, value) {
            (0x02, name) => message.sni = Some(text(name, TEXT_BYTES)),
            // Section 2.2.5: up to 128 bytes, opaque.
            (0x05, id) => tokens.push(hex(&id[..id.len().min(128)])),
            // NLB: the VPC endpoint the client came through.
            (0xea, [1, endpoint @ ..]) => tokens.push(format!("aws-vpce={}", text(endpoint, 128))),
            // Private Link: the only little-endian number of the whole protocol.
            (0xee, [1, a, b, c, d]) => tokens.push(format!("azure-link-id={}", u32::from_le_bytes([*a, *b, *c, *d]))),
            _ => (),
        }
        bytes = after;
    }
    if !tokens.is_empty() {
        message.token = Some(text(tokens.join(";").as_bytes(), TEXT_BYTES));
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(header: Header) -> (Message, usize) {
        match header {
            Header::Whole(message, used) => (*message, used),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn v1_names_both_ends() {
        let line = b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\nGET /";
        let (message, used) = whole(v1(line));
        assert_eq!((message.src.as_deref(), used), (Some("[2001:db8::1]:5000"), 45));
        assert_eq!(message.dst.as_deref(), Some("[2001:db8::2]:443"));
        assert_eq!(whole(v1(b"PROXY UNKNOWN whatever\r\n")).0.src, None);
        assert!((0..45).all(|length| v1(&line[..length]) == Header::NeedMore));
    }

    #[test]
    fn v1_is_strict() {
        for line in [
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n".as_slice(),
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 70000\r\n",
            b"PROXY TCP4 ::1 5.6.7.8 1 2\r\n",
            b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
            &[b'P'; V1_BYTES],
        ] {
            assert_eq!(v1(line), Header::Bad);
        }
    }

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16).to_be_bytes();
        [PROXY_V2.as_slice(), &[command, family], &length, body].concat()
    }

    #[test]
    fn v2_has_addresses_and_tokens() {
        let mut body = vec![10, 0, 0, 1, 10, 0, 0, 2, 0x13, 0x88, 0x01, 0xbb];
        body.extend(b"\x02\x00\x03a.b\x05\x00\x02\xab\xcd\x04\x00\x01\0");
        body.extend(b"\xea\x00\x07\x01vpce-1\xee\x00\x05\x01\x7b\0\0\0");
        let bytes = header(0x21, 0x11, &body);
        let (message, used) = whole(v2(&bytes));
        assert_eq!((message.src.as_deref(), message.dst.as_deref()), (Some("10.0.0.1:5000"), Some("10.0.0.2:443")));
        assert_eq!(message.sni.as_deref(), Some("a.b"));
        assert_eq!(message.token.as_deref(), Some("abcd;aws-vpce=vpce-1;azure-link-id=123"));
        assert_eq!(used, bytes.len());
        assert!((0..used).all(|length| v2(&bytes[..length]) == Header::NeedMore));
    }

    #[test]
    fn a_cut_header_names_what_it_can() {
        let named = |bytes: &[u8]| {
            let message = partial(bytes);
            assert!(!message.complete);
            [message.src, message.dst].map(Option::unwrap_or_default).join(" ")
        };
        let line = b"PROXY TCP4 192.0.2.10 192.0.2.20 5000 443\r\n";
        for (length, expected) in [
            (7, " "),
            (21, " "),
            (22, "192.0.2.10 "),
            (30, "192.0.2.10 "),
            (33, "192.0.2.10 192.0.2.20"),
            (37, "192.0.2.10 192.0.2.20"),
            (38, "192.0.2.10:5000 192.0.2.20"),
            (41, "192.0.2.10:5000 192.0.2.20"),
        ] {
            assert_eq!(named(&line[..length]), expected, "{length} bytes");
        }
        assert_eq!(named(b"PROXY TCP6 2001:db8::1 2001:"), "2001:db8::1 ");
        assert_eq!(named(b"PROXY TCP4 2001:db8::1 2001:"), " ");
        assert_eq!(named(b"PROXY UNKNOWN 1.2.3.4 "), " ");
        let body = [10, 0, 0, 1, 10, 0, 0, 2, 0x13, 0x88, 0x01, 0xbb, 0x05, 0x00, 0x02, 0xab, 0xcd];
        let bytes = header(0x21, 0x11, &body);
        for (length, expected) in [
            (13, " "),
            (19, " "),
            (20, "10.0.0.1 "),
            (24, "10.0.0.1 10.0.0.2"),
            (26, "10.0.0.1:5000 10.0.0.2"),
            (28, "10.0.0.1:5000 10.0.0.2:443"),
        ] {
            assert_eq!(named(&bytes[..length]), expected, "{length} bytes");
        }
        assert_eq!((partial(&bytes[..32]).token, partial(&bytes).token.as_deref()), (None, Some("abcd")));
        assert_eq!(named(&header(0x20, 0x11, &body)), " ", "LOCAL names nobody");
        assert_eq!(named(&header(0x21, 0x11, &body[..4])), " ", "too short for its family");
        let mut six = vec![0; 36];
        six[15] = 1;
        assert_eq!(named(&header(0x21, 0x21, &six)[..40]), "::1 ");
    }

    #[test]
    fn v2_local_has_no_client() {
        let (message, used) = whole(v2(&header(0x20, 0, &[])));
        assert_eq!((message.src, message.complete, used), (None, true, 16));
        let mut body = [0; 36];
        body[15] = 1;
        assert_eq!(whole(v2(&header(0x21, 0x21, &body))).0.src.as_deref(), Some("[::1]:0"));
        assert_eq!(v2(&header(0x21, 0x11, &[1, 2, 3])), Header::Bad);
        assert_eq!(v2(&header(0x22, 0x11, &[0; 12])), Header::Bad);
    }
}
