//! Files that are no pcap or pcapng: what they are, in words that say what to do.

/// Enough bytes to tell all formats below.
pub(super) const ENOUGH: usize = 16;

const CONVERT: &str = "convert it with: editcap -F pcapng INPUT OUTPUT.pcapng";

/// Formats that Wireshark's editcap turns into pcapng, by the bytes they start with.
const CAPTURES: [(&[u8], &str); 12] = [
    (b"snoop\0\0\0", "a Solaris snoop capture"),
    (b"btsnoop\0", "a Bluetooth snoop capture"),
    (b"GMBU", "a Microsoft Network Monitor 2 capture"),
    (b"RTSS", "a Microsoft Network Monitor 1 capture"),
    (b"ObserverPktBuffe", "a Network Instruments Observer capture"),
    (b"TRSNIFF data    ", "a Network General Sniffer capture"),
    (b"XCP\0", "a NetXRay or Windows Sniffer capture"),
    (b"5VW\0", "a Visual Networks capture"),
    (b"\x05VNF", "a Finisar Surveyor capture"),
    (b"\x7fver", "an EtherPeek or OmniPeek capture"),
    (b"*begin*\0", "a Network Associates capture"),
    (b"Packetlogger", "an Apple PacketLogger capture"),
];

/// Containers that hold something else.
const ARCHIVES: [(&[u8], &str); 6] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"BZh", "a bzip2 file"),
    (b"Rar!", "a rar archive"),
    (b"\x1f\x9d", "a compress (.Z) file"),
    (b"LZIP", "an lzip file"),
];

/// One sentence about a file that starts with these bytes (at least [`ENOUGH`], or all there are).
pub(super) fn describe(start: &[u8]) -> String {
    if start.is_empty() {
        return String::from("the file is empty");
    }
    if let Some((_, what)) = CAPTURES.iter().find(|(magic, _)| start.starts_with(magic)) {
        return format!("{what}, not pcap or pcapng; {CONVERT}");
    }
    if let Some((_, what)) = ARCHIVES.iter().find(|(magic, _)| start.starts_with(magic)) {
        return format!("{what}, not a capture; unpack it first");
    }
    // What a transfer in text mode makes of a pcapng section header.
    if start.starts_with(b"\x0a\x0a") || start.starts_with(b"\x0a\x0d\x0a") || start.starts_with(b"\x0d\x0a\x0d\x0a") {
        return String::from("a pcapng capture that was damaged in transfer: line ends were converted");
    }
    if start.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')) {
        return String::from("a text file, not a capture; a hex dump can be made a capture with text2pcap");
    }
    let hex: Vec<String> = start.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    if start.len() < 4 {
        return format!("only {} bytes long ({}), too short for a capture", start.len(), hex.join(" "));
    }
    format!("not a capture: it starts with the bytes {}, neither pcap nor pcapng", hex.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named() {
        assert!(describe(b"snoop\0\0\0\0\0\0\x02\0\0\0\x04").starts_with("a Solaris snoop capture"));
        assert!(describe(b"GMBU\x01\x02\0\0\0\0\0\0\0\0\0\0").contains("editcap"));
        assert!(describe(b"PK\x03\x04aaaaaaaaaaaa").contains("unpack"));
        assert!(describe(b"<html>\n").contains("text file"));
        assert!(describe(b"\x00\x01").contains("only 2 bytes"));
        assert!(describe(&[0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0]).contains("de ad be ef"));
        assert_eq!(describe(b""), "the file is empty");
    }
}
