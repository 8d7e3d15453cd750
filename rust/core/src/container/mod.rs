//! Capture files as streams: bytes in, frames out, whatever the format.

mod annotator;
mod byte_order;
mod foreign;
mod pcap;
mod pcapng;
mod pcapng_option;
mod reader;
mod step;

pub use annotator::Annotator;
pub use reader::Reader;

/// One captured frame, as its file describes it.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// From 1 within its file, as Wireshark numbers it.
    pub number: u64,
    /// Where the record (pcap record header, pcapng block) starts in the decompressed stream.
    pub offset: u64,
    /// UTC, nanoseconds since the epoch.
    pub time_ns: i64,
    /// Length on the wire; may be larger than `data.len()` when the snap length cut the frame.
    pub wire_length: u32,
    /// Index into [`Reader::interfaces`].
    pub interface: u32,
    pub link_type: u16,
    pub data: &'a [u8],
}

/// An interface that a capture file describes; a pcap file has one, without a name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Interface {
    pub name: Option<String>,
    /// What the file says about it (`if_description`).
    pub description: Option<String>,
    pub link_type: u16,
    /// 0 when the file sets no limit.
    pub snap_length: u32,
    /// When capturing ended there, as the file says.
    pub until_ns: Option<i64>,
    /// Frames that were lost there, as the file says.
    pub dropped: u64,
}
