//! Finds the compression of a file and undoes it, piece by piece.

use super::algorithm::{Algorithm, FORMATS, Format, LONGEST_MAGIC, Match, PIECE};
use crate::issue::Issues;

/// Decompresses one file that is pushed into it; a file that is not compressed passes through without a copy.
pub struct Decompressor {
    state: State,
    name: Option<&'static str>,
    taken: u64,
    given: u64,
}

enum State {
    /// The first bytes, too few to tell.
    Start(Vec<u8>),
    Plain,
    Running(Box<dyn Algorithm + Send + Sync>),
    /// Damaged: the rest is not looked at.
    Stopped,
}

/// What the first bytes say.
enum Found {
    TooFew,
    Plain,
    Format(&'static Format),
}

impl Default for Decompressor {
    fn default() -> Self {
        Decompressor::new()
    }
}

impl Decompressor {
    /// A decompressor for one file; the format is found from the first bytes.
    pub fn new() -> Self {
        Decompressor { state: State::Start(Vec::new()), name: None, taken: 0, given: 0 }
    }

    /// Takes the next bytes of the file; what they decompress to goes to `out`, in pieces of bounded size.
    pub fn feed(&mut self, data: &[u8], issues: &mut Issues, capture: u32, out: &mut dyn FnMut(&[u8])) {
        self.taken += data.len() as u64;
        if let State::Start(start) = &mut self.state {
            let mut start = std::mem::take(start);
            let missing = LONGEST_MAGIC.saturating_sub(start.len()).min(data.len());
            let (head, rest) = data.split_at(missing);
            // The first bytes are only copied when they came in more than one piece.
            let carried = !start.is_empty();
            start.extend_from_slice(head);
            match recognise(&start) {
                Found::TooFew => {
                    self.state = State::Start(start);
                    return;
                }
                Found::Plain => self.state = State::Plain,
                Found::Format(format) => match (format.start)() {
                    Ok(algorithm) => {
                        self.name = Some(format.name);
                        self.state = State::Running(algorithm);
                    }
                    Err(error) => self.damaged(&error, issues, capture),
                },
            }
            if carried {
                self.run(&start, issues, capture, out);
                self.run(rest, issues, capture, out);
                return;
            }
        }
        self.run(data, issues, capture, out);
    }

    /// Tells the decompressor that the file ends here; an end in mid-stream becomes an issue.
    pub fn finish(&mut self, issues: &mut Issues, capture: u32, out: &mut dyn FnMut(&[u8])) {
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Start(start) if !start.is_empty() => out(&start),
            State::Running(mut algorithm) => {
                let given = &mut self.given;
                let complete = algorithm.finish(&mut |bytes| {
                    *given += bytes.len() as u64;
                    out(bytes);
                });
                if !complete {
                    let (name, taken) = (self.name.unwrap_or_default(), self.taken);
                    issues.add("truncated-compression", capture, 0, self.given, || {
                        format!("the {name} data breaks off after {taken} compressed bytes")
                    });
                }
            }
            State::Start(_) | State::Plain | State::Stopped => {}
        }
    }

    /// `gzip`, `zstd`, `xz` or `lz4`; `None` for a file that is not compressed, or not yet known.
    pub fn name(&self) -> Option<&'static str> {
        self.name
    }

    fn run(&mut self, data: &[u8], issues: &mut Issues, capture: u32, out: &mut dyn FnMut(&[u8])) {
        match &mut self.state {
            State::Plain if !data.is_empty() => out(data),
            State::Running(algorithm) => {
                let given = &mut self.given;
                let result = algorithm.feed(data, &mut |bytes| {
                    *given += bytes.len() as u64;
                    bytes.chunks(PIECE).for_each(&mut *out);
                });
                if let Err(error) = result {
                    self.damaged(&error, issues, capture);
                }
            }
            State::Start(_) | State::Plain | State::Stopped => {}
        }
    }

    fn damaged(&mut self, error: &str, issues: &mut Issues, capture: u32) {
        let (name, given) = (self.name.unwrap_or("compressed"), self.given);
        issues.add("damaged-compression", capture, 0, given, || {
            format!("the {name} data is damaged after {given} decompressed bytes: {error}")
        });
        self.state = State::Stopped;
    }
}

fn recognise(start: &[u8]) -> Found {
    let mut found = Found::Plain;
    for format in &FORMATS {
        match format.matches(start) {
            Match::Yes => return Found::Format(format),
            Match::SoFar => found = Found::TooFew,
            Match::No => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<&'static str>, Vec<&'static str>) {
        let mut decompressor = Decompressor::new();
        let mut issues = Issues::default();
        let mut all = Vec::new();
        let mut out = |bytes: &[u8]| {
            assert!(bytes.len() <= PIECE);
            all.extend_from_slice(bytes);
        };
        for piece in pieces {
            decompressor.feed(piece, &mut issues, 0, &mut out);
        }
        decompressor.finish(&mut issues, 0, &mut out);
        (all, decompressor.name(), issues.rows().iter().map(|row| row.kind).collect())
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(data: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(data, 1).unwrap()
    }

    fn lz4(data: &[u8], linked: bool, checksums: bool) -> Vec<u8> {
        let info = lz4_flex::frame::FrameInfo::new()
            .block_mode(if linked {
                lz4_flex::frame::BlockMode::Linked
            } else {
                lz4_flex::frame::BlockMode::Independent
            })
            .block_size(lz4_flex::frame::BlockSize::Max64KB)
            .block_checksums(checksums)
            .content_checksum(checksums);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn every_way(data: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("gzip", gzip(data)),
            ("zstd", zstd(data)),
            ("xz", xz(data)),
            ("lz4", lz4(data, true, false)),
            ("lz4", lz4(data, false, true)),
        ]
    }

    /// Compressible, longer than a window of LZ4.
    fn text() -> Vec<u8> {
        (0u32..60_000).flat_map(|n| (n * n / 7).to_le_bytes()).collect()
    }

    #[test]
    fn every_format_comes_back_however_it_is_split() {
        let data = text();
        for (name, packed) in every_way(&data) {
            for size in [packed.len(), 4096, 7, 1] {
                assert_eq!(run(packed.chunks(size)), (data.clone(), Some(name), vec![]), "{name} by {size}");
            }
        }
    }

    #[test]
    fn files_of_several_streams() {
        let (first, second) = (text(), b"and more".to_vec());
        for ((name, packed), (_, more)) in every_way(&first).into_iter().zip(every_way(&second)) {
            let both = [packed, more].concat();
            assert_eq!(run([&both[..]]), ([&first[..], &second].concat(), Some(name), vec![]), "{name}");
        }
        let padded = [&gzip(&second)[..], &[0; 9]].concat();
        assert_eq!(run([&padded[..]]), (second, Some("gzip"), vec![]));
    }

    #[test]
    fn plain_bytes_pass_without_a_copy() {
        let data = text();
        let mut decompressor = Decompressor::new();
        let mut issues = Issues::default();
        decompressor.feed(&data, &mut issues, 0, &mut |bytes| assert_eq!(bytes.as_ptr(), data.as_ptr()));
        assert_eq!(run(data.chunks(1)), (data.clone(), None, vec![]));
        assert_eq!(run([&b"\x1f"[..]]), (b"\x1f".to_vec(), None, vec![]));
    }

    #[test]
    fn an_end_in_mid_stream_keeps_what_was_there() {
        let data = text();
        for (name, packed) in every_way(&data) {
            let (got, _, issues) = run([&packed[..packed.len() * 2 / 3]]);
            assert_eq!(issues, ["truncated-compression"], "{name}");
            assert!(!got.is_empty() && data.starts_with(&got), "{name}: {}", got.len());
        }
    }

    #[test]
    fn damage_keeps_what_was_before() {
        let data = text();
        for (name, packed) in every_way(&data) {
            let mut packed = packed;
            let at = packed.len() / 2;
            packed[at..at + 9].fill(0xff);
            let (got, _, issues) = run([&packed[..]]);
            // Without checksums damage may show in nothing but the data.
            assert!(issues.len() == 1 || matches!(name, "lz4" | "zstd"), "{name} {issues:?}");
            assert_eq!(got.get(..data.len() / 8), data.get(..data.len() / 8), "{name}");
        }
        let trailing = [&gzip(b"capture")[..], b"more"].concat();
        assert_eq!(run([&trailing[..]]), (b"capture".to_vec(), Some("gzip"), vec!["damaged-compression"]));
    }

    #[test]
    fn a_bomb_comes_out_in_small_pieces() {
        let bomb = zstd(&vec![0; 50_000_000]);
        let mut decompressor = Decompressor::new();
        let (mut total, mut longest) = (0, 0);
        decompressor.feed(&bomb, &mut Issues::default(), 0, &mut |bytes| {
            total += bytes.len();
            longest = longest.max(bytes.len());
        });
        assert_eq!((total, longest <= PIECE), (50_000_000, true));
    }

    proptest! {
        #[test]
        fn any_bytes_behind_any_magic(
            magic in prop::sample::select(vec![
                &b"\x1f\x8b\x08"[..],
                b"\x28\xb5\x2f\xfd",
                b"\x50\x2a\x4d\x18",
                b"\xfd7zXZ\0",
                b"\x04\x22\x4d\x18\x60\x40\0",
            ]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            size in 1usize..64,
        ) {
            let file = [magic, &bytes].concat();
            prop_assert_eq!(run(file.chunks(size)), run([file.as_slice()]));
        }
    }
}
