//! The LZ4 frame header (lz4_Frame_format.md of the LZ4 project, version 1.6).

/// Magic number of a frame, and of the sixteen kinds of frames to skip (the low four bits are free).
pub(super) const MAGIC: u32 = 0x184d_2204;
pub(super) const SKIPPABLE: u32 = 0x184d_2a50;

const VERSION: u8 = 0xc0;
const VERSION_1: u8 = 0x40;
const INDEPENDENT_BLOCKS: u8 = 0x20;
const BLOCK_CHECKSUM: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const DICTIONARY: u8 = 0x01;

/// How the blocks of one frame are to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) linked: bool,
    pub(super) block_checksum: bool,
    pub(super) content_checksum: bool,
    pub(super) longest_block: usize,
    /// Bytes after flags and block size: content size, dictionary number, header checksum.
    pub(super) rest: usize,
}

impl Descriptor {
    /// Reads the flags and the block size that follow the magic number.
    pub(super) fn read(flags: u8, block: u8) -> Result<Self, String> {
        if flags & VERSION != VERSION_1 {
            return Err(format!("frame version {} is unknown", flags >> 6));
        }
        if flags & DICTIONARY != 0 {
            return Err(String::from("it needs a dictionary that is not in the file"));
        }
        let longest_block = match (block >> 4) & 7 {
            4 => 64 * 1024,
            5 => 256 * 1024,
            6 => 1024 * 1024,
            7 => 4 * 1024 * 1024,
            code => return Err(format!("block size code {code} is unknown")),
        };
        Ok(Descriptor {
            linked: flags & INDEPENDENT_BLOCKS == 0,
            block_checksum: flags & BLOCK_CHECKSUM != 0,
            content_checksum: flags & CONTENT_CHECKSUM != 0,
            longest_block,
            rest: 1 + if flags & CONTENT_SIZE != 0 { 8 } else { 0 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_apart() {
        let found = Descriptor::read(0x40 | 0x08 | 0x04, 0x40).unwrap();
        assert_eq!((found.linked, found.content_checksum, found.block_checksum), (true, true, false));
        assert_eq!((found.longest_block, found.rest), (65_536, 9));
    }

    #[test]
    fn unknown_frames_are_refused() {
        assert!(Descriptor::read(0x80, 0x40).is_err());
        assert!(Descriptor::read(0x41, 0x40).is_err());
        assert!(Descriptor::read(0x40, 0x30).is_err());
    }
}
