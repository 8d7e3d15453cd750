//! DNS messages in datagrams (RFC 1035, section 4): which question, and what came of it.
//!
//! No port is looked at: a datagram is taken for DNS only where everything up to the end of its question holds.

use std::fmt::Write;

use super::Message;

const HEADER: usize = 12;
/// Longest name on the wire (RFC 1035, section 2.3.4).
const NAME_BYTES: usize = 255;
const LABEL_BYTES: usize = 63;
/// QCLASS without the top bit, which multicast DNS uses (RFC 6762, section 5.4): IN, CH, HS, NONE, ANY.
const CLASSES: [u16; 5] = [1, 3, 4, 254, 255];
/// Highest RCODE of a header in use (RFC 6895, section 2.3).
const RCODE_MAX: u16 = 11;

/// The query or response in a datagram of `wire` bytes, of which `bytes` were captured.
pub(super) fn read(bytes: &[u8], wire: usize) -> Option<Message> {
    let &[i0, i1, f0, f1, q0, q1, a0, a1, n0, n1, r0, r1] = bytes.first_chunk::<HEADER>()?;
    let flags = u16::from_be_bytes([f0, f1]);
    let [questions, answers, authorities, additional] =
        [[q0, q1], [a0, a1], [n0, n1], [r0, r1]].map(u16::from_be_bytes);
    let (response, opcode, rcode) = (flags & 0x8000 != 0, flags >> 11 & 15, flags & 15);
    // The bit in the middle is reserved; zone transfers, updates and notifications do not come this way.
    if questions != 1 || opcode != 0 || flags & 0x0040 != 0 {
        return None;
    }
    let fits = match response {
        true => rcode <= RCODE_MAX,
        // EDNS and a signature are all that goes with a question (RFC 6891, RFC 8945).
        false => rcode == 0 && answers == 0 && authorities == 0 && additional <= 2,
    };
    let (name, end) = name(bytes)?;
    let &[t0, t1, c0, c1] = bytes.get(end..)?.first_chunk::<4>()?;
    let (kind, class) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([c0, c1]) & 0x7fff);
    let records = usize::from(answers) + usize::from(authorities) + usize::from(additional);
    let rest = wire.saturating_sub(end + 4);
    // A record takes eleven bytes at least; without one nothing may follow.
    let filled = if records == 0 { rest == 0 } else { rest >= records * 11 };
    let truncated = flags & 0x0200 != 0;
    if !fits || kind == 0 || netbios(bytes, kind) || !CLASSES.contains(&class) || !(filled || truncated) {
        return None;
    }
    let message = Message::new(if response { "dns-response" } else { "dns-query" });
    Some(Message {
        method: Some(type_name(kind)),
        target: Some(name),
        status: response.then_some(rcode),
        token: Some(format!("{:02x}{:02x}", i0, i1)),
        complete: bytes.len() >= wire,
        ..message
    })
}

/// The name of the question as text, and where it ends.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let mut at = HEADER;
    let mut name = String::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        // A pointer has nothing to point back to in the first name of a message.
        if length > LABEL_BYTES || at + length - HEADER >= NAME_BYTES {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        bytes.get(at..at + length)?.iter().for_each(|&byte| push(&mut name, byte));
        at += length;
    }
    if name.is_empty() {
        name.push('.');
    }
    Some((name, at))
}

/// NetBIOS names (RFC 1002, section 4.2) come in the same form: a label of 32 letters from A to P, types NB and NBSTAT.
fn netbios(bytes: &[u8], kind: u16) -> bool {
    let label = bytes.get(HEADER..HEADER + 33);
    matches!(kind, 32 | 33)
        && label.is_some_and(|label| label[0] == 32 && label[1..].iter().all(|byte| matches!(byte, b'A'..=b'P')))
}

/// One byte of a label in presentation format (RFC 1035, section 5.1).
fn push(name: &mut String, byte: u8) {
    match byte {
        b'.' | b'\\' => name.extend(['\\', char::from(byte)]),
        0x21..=0x7e => name.push(char::from(byte)),
        _ => {
            let _ = write!(name, "\\{byte:03}");
        }
    }
}

/// Mnemonic of a type that is common (IANA), else `TYPE65280` (RFC 3597, section 5).
fn type_name(kind: u16) -> String {
    let known = match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        43 => "DS",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        255 => "ANY",
        _ => return format!("TYPE{kind}"),
    };
    known.to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A question about `labels`, with so many records of twelve bytes behind it.
    pub(in super::super) fn message(id: u16, flags: u16, labels: &[&[u8]], kind: u16, records: u16) -> Vec<u8> {
        let mut bytes = [id, flags, 1, if flags & 0x8000 == 0 { 0 } else { records }, 0, 0]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect::<Vec<u8>>();
        for label in labels {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label);
        }
        bytes.extend_from_slice(&[0, (kind >> 8) as u8, kind as u8, 0, 1]);
        bytes.extend(std::iter::repeat_n(0xc0, usize::from(records) * 12));
        bytes
    }

    fn found(bytes: &[u8]) -> Option<(&'static str, String, String, String, Option<u16>)> {
        let message = read(bytes, bytes.len())?;
        Some((message.kind, message.token?, message.method?, message.target?, message.status))
    }

    #[test]
    fn a_query_and_its_response() {
        let query = message(0x1a2b, 0x0100, &[b"www", b"example"], 28, 0);
        let expected = ("dns-query", "1a2b".into(), "AAAA".into(), "www.example".into(), None);
        assert_eq!(found(&query), Some(expected));
        let answer = message(0x1a2b, 0x8183, &[b"www", b"example"], 28, 0);
        let expected = ("dns-response", "1a2b".into(), "AAAA".into(), "www.example".into(), Some(3));
        assert_eq!(found(&answer), Some(expected));
        assert_eq!(found(&message(1, 0x8180, &[], 2, 13)).map(|one| one.3), Some(".".into()));
    }

    #[test]
    fn bytes_of_names_are_escaped() {
        let odd = message(1, 0, &[b"a.b", b"\\\x1b[31m", b"\xff "], 65280, 0);
        let (_, _, kind, name, _) = found(&odd).expect("a question");
        assert_eq!((kind.as_str(), name.as_str()), ("TYPE65280", "a\\.b.\\\\\\027[31m.\\255\\032"));
    }

    #[test]
    fn look_alikes_are_left() {
        let query = message(7, 0x0100, &[b"a"], 1, 0);
        let with = |at: usize, value: u8| {
            let mut bytes = query.clone();
            bytes[at] = value;
            bytes
        };
        let opcode = with(2, 0x29);
        let (reserved, two, answers, pointer) = (with(3, 0x40), with(5, 2), with(7, 1), with(12, 0xc0));
        let (no_type, class) = (with(16, 0), with(18, 9));
        let trailing = [&query[..], b"more"].concat();
        let netbios = message(7, 0x0110, &[b"FHFAEBEECACACACACACACACACACACAAA"], 32, 0);
        for bytes in [&opcode, &reserved, &two, &answers, &pointer, &no_type, &class, &trailing, &netbios] {
            assert_eq!(found(bytes), None, "{bytes:?}");
        }
        assert!((0..query.len()).all(|length| read(&query[..length], query.len()).is_none()));
        let long: Vec<&[u8]> = vec![&[b'x'; 63]; 5];
        assert_eq!(found(&message(1, 0, &long, 1, 0)), None);
    }

    #[test]
    fn what_the_snap_length_left_is_enough() {
        let answer = message(9, 0x8180, &[b"a"], 1, 4);
        let cut = read(&answer[..20], answer.len()).expect("the question is there");
        assert!(!cut.complete && read(&answer, answer.len()).expect("whole").complete);
    }

    proptest! {
        #[test]
        fn names_survive(
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..6), id in any::<u16>(),
        ) {
            let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
            let (_, token, _, name, _) = found(&message(id, 0, &labels, 1, 0)).expect("a question");
            prop_assert_eq!(token, format!("{id:04x}"));
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), wire in 0usize..2000) {
            let _ = read(&bytes, wire);
            let _ = read(&[&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &bytes].concat(), wire);
        }
    }
}
