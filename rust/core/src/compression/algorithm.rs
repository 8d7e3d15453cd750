//! What the compression formats have in common, and the list of them.

use super::gzip::Gzip;
use super::lz4::Lz4;
use super::xz::Xz;
use super::zstd::Zstd;

/// Output is handed out in pieces of at most this size, so a bomb costs time but no memory.
pub(super) const PIECE: usize = 256 * 1024;

/// Bytes enough to tell the formats by.
pub(super) const LONGEST_MAGIC: usize = 6;

/// A running decompression of one format.
pub(super) trait Algorithm: Send {
    /// Takes compressed bytes; what they hold goes to `out`. `Err` says what is damaged, after `out` got all before it.
    fn feed(&mut self, data: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), String>;

    /// The compressed bytes end here: gives out what is left and says whether this was a good place to end.
    fn finish(&mut self, out: &mut dyn FnMut(&[u8])) -> bool;
}

/// A format's name, its test for the first bytes of a file, and its start.
pub(super) struct Format {
    pub(super) name: &'static str,
    /// Values that the first bytes may have, position by position.
    magic: &'static [(u8, u8)],
    pub(super) start: fn() -> Result<Box<dyn Algorithm + Send + Sync>, String>,
}

/// All formats; the first that matches is taken.
pub(super) const FORMATS: [Format; 5] = [
    // RFC 1952, section 2.3.1; deflate (8) is the only method there is.
    Format { name: "gzip", magic: &[(0x1f, 0x1f), (0x8b, 0x8b), (8, 8)], start: || Ok(Box::new(Gzip::new())) },
    // RFC 8878, section 3.1.1.
    Format { name: "zstd", magic: &[(0x28, 0x28), (0xb5, 0xb5), (0x2f, 0x2f), (0xfd, 0xfd)], start: start_zstd },
    // RFC 8878, section 3.1.2: files of parallel compressors may begin with a skippable frame.
    Format { name: "zstd", magic: &[(0x50, 0x5f), (0x2a, 0x2a), (0x4d, 0x4d), (0x18, 0x18)], start: start_zstd },
    Format {
        name: "xz",
        magic: &[(0xfd, 0xfd), (b'7', b'7'), (b'z', b'z'), (b'X', b'X'), (b'Z', b'Z'), (0, 0)],
        start: || Ok(Box::new(Xz::new()?)),
    },
    Format {
        name: "lz4",
        magic: &[(0x04, 0x04), (0x22, 0x22), (0x4d, 0x4d), (0x18, 0x18)],
        start: || Ok(Box::new(Lz4::new())),
    },
];

fn start_zstd() -> Result<Box<dyn Algorithm + Send + Sync>, String> {
    Ok(Box::new(Zstd::new()?))
}

/// How the first bytes of a file compare with a format's magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    No,
    /// As far as the bytes go.
    SoFar,
    Yes,
}

impl Format {
    pub(super) fn matches(&self, start: &[u8]) -> Match {
        if !start.iter().zip(self.magic).all(|(byte, (low, high))| (low..=high).contains(&byte)) {
            Match::No
        } else if start.len() < self.magic.len() {
            Match::SoFar
        } else {
            Match::Yes
        }
    }
}
