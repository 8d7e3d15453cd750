//! What the pcap and pcapng parsers tell the reader about the record at the front of the bytes.

use crate::issue::Issues;

/// Largest frame taken seriously; what libpcap and Wireshark allow for USB and D-Bus, the longest there are.
pub(super) const LONGEST_FRAME: u32 = 128 * 1024 * 1024;
/// What Wireshark allows for all other link types, unless the file's own snap length is larger.
pub(super) const USUAL_LONGEST_FRAME: u32 = 256 * 1024;

/// The next record, or why there is none yet.
pub(super) enum Step<'a> {
    /// This many bytes, counted from the start of the record, are needed to go on.
    Need(usize),
    /// A frame; the record it stands in is `size` bytes long.
    Frame { size: usize, time_ns: i64, wire_length: u32, interface: u32, link_type: u16, data: &'a [u8] },
    /// A packet record that has its number, but no frame that can be used.
    Unusable { size: usize },
    /// Not a packet record; `size` may reach beyond the bytes at hand.
    Skip { size: u64 },
    /// Nothing after this can be trusted.
    Damaged(String),
}

/// Where a parser notes what is wrong with the record it reads.
pub(super) struct Log<'i> {
    pub(super) issues: &'i mut Issues,
    pub(super) capture: u32,
    pub(super) frame: u64,
    pub(super) offset: u64,
}

impl Log<'_> {
    pub(super) fn add(&mut self, kind: &'static str, detail: impl FnOnce() -> String) {
        self.issues.add(kind, self.capture, self.frame, self.offset, detail);
    }
}
