//! Captures copied with comments: whatever is no comment stays byte for byte, in both byte orders.

use std::collections::HashMap;

use flowscope_core::container::Annotator;
use flowscope_core::selection::{Selection, Wanted};
use proptest::prelude::*;

#[derive(Clone, Copy)]
struct Writer {
    big: bool,
}

const BOTH: [Writer; 2] = [Writer { big: false }, Writer { big: true }];

impl Writer {
    fn u16(self, value: u16) -> [u8; 2] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let length = self.u32(body.len() as u32 + 12);
        [&self.u32(kind)[..], &length, body, &length].concat()
    }

    fn options(self, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (code, value) in options {
            out.extend_from_slice(&[self.u16(*code), self.u16(value.len() as u16)].concat());
            out.extend_from_slice(value);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        if options.is_empty() { out } else { [out, vec![0; 4]].concat() }
    }

    fn section(self, length: [u8; 8], options: &[(u16, &[u8])]) -> Vec<u8> {
        let head = [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &length].concat();
        self.block(0x0a0d_0d0a, &[head, self.options(options)].concat())
    }

    fn interface(self) -> Vec<u8> {
        self.block(1, &[&self.u16(1)[..], &[0, 0], &self.u32(0), &self.options(&[(2, b"eth0")])].concat())
    }

    fn packet(self, kind: u32, data: &[u8], options: &[(u16, &[u8])]) -> Vec<u8> {
        let fields = [0, 5, 6, data.len() as u32, 99].map(|field| self.u32(field)).concat();
        let mut body = [&fields[..], data].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(kind, &[body, self.options(options)].concat())
    }

    /// Blocks that hold no frame: name resolution, statistics, secrets, custom, unknown.
    fn others(self) -> Vec<u8> {
        [4, 5, 10, 0xbad, 0x7777].map(|kind| self.block(kind, &[kind as u8; 40])).concat()
    }
}

const UNKNOWN_LENGTH: [u8; 8] = [0xff; 8];

fn comments(of: &[(u64, &[&str])]) -> HashMap<u64, Vec<String>> {
    of.iter().map(|(frame, texts)| (*frame, texts.iter().map(|text| (*text).to_owned()).collect())).collect()
}

fn annotate(file: &[u8], size: usize, of: &[(u64, &[&str])], section: &str) -> (Vec<u8>, u64) {
    let mut annotator = Annotator::new(comments(of), section.to_owned(), false);
    let mut out: Vec<u8> = file.chunks(size).flat_map(|piece| annotator.feed(piece)).collect();
    out.extend(annotator.finish());
    (out, annotator.written())
}

#[test]
fn comments_go_in_front_of_the_options_and_nothing_else_changes() {
    for writer in BOTH {
        let old: &[(u16, &[u8])] = &[(1, b"old"), (2, &[1, 2, 3, 4])];
        let new: &[(u16, &[u8])] = &[(1, b"F1: hello"), (1, b"F2"), (1, b"old"), (2, &[1, 2, 3, 4])];
        let section: &[(u16, &[u8])] = &[(1, b"who"), (3, b"linux")];
        let file = [
            writer.section(UNKNOWN_LENGTH, &section[1..]),
            writer.interface(),
            writer.packet(6, b"first", &[]),
            writer.others(),
            writer.packet(6, b"second", old),
            writer.block(3, &[&writer.u32(4)[..], b"data"].concat()),
            writer.packet(2, b"four", &[]),
            writer.packet(6, b"last", &[]),
        ];
        let mut expected = file.clone();
        expected[0] = writer.section(UNKNOWN_LENGTH, section);
        expected[4] = writer.packet(6, b"second", new);
        expected[6] = writer.packet(2, b"four", &[(1, b"F3")]);
        let of: &[(u64, &[&str])] = &[(2, &["F1: hello", "F2"]), (3, &["no room"]), (4, &["F3"])];
        for size in [1, 7, 64, 100_000] {
            assert_eq!(
                annotate(&file.concat(), size, of, "who"),
                (expected.concat(), 2),
                "big {} by {size}",
                writer.big
            );
        }
    }
}

#[test]
fn sections_of_both_orders_follow_one_another_and_only_the_first_is_commented() {
    let [little, big] = BOTH;
    let length = little.u32(400).into_iter().chain([0; 4]).collect::<Vec<u8>>().try_into().unwrap();
    let first = [little.section(length, &[]), little.interface(), little.packet(6, b"one", &[])].concat();
    let second = |text: &[(u16, &[u8])]| {
        [big.section(UNKNOWN_LENGTH, &[]), big.interface(), big.packet(6, b"two", text)].concat()
    };
    let (out, written) = annotate(&[first, second(&[])].concat(), 50, &[(2, &["F1"])], "who");
    let head = [little.section(UNKNOWN_LENGTH, &[(1, b"who")]), little.interface(), little.packet(6, b"one", &[])];
    assert_eq!((out, written), ([head.concat(), second(&[(1, b"F1")])].concat(), 1));
}

#[test]
fn a_pcap_becomes_a_pcapng_with_the_same_frames() {
    let path = format!("{}/../../captures/hairpin/be1.pcap", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read(path).unwrap();
    let (out, written) = annotate(&file, 1000, &[(2, &["F1"]), (999_999, &["none"])], "who");
    let frames = |bytes: &[u8]| {
        let mut selection = Selection::new(Wanted { everything: true, ..Wanted::default() });
        let mut all = selection.feed(bytes);
        all.extend(selection.finish());
        (all, selection.interfaces().to_vec())
    };
    assert_eq!((frames(&file), written), (frames(&out), 1));
    let empty = annotate(&file[..24], 5, &[], "");
    assert_eq!(frames(&empty.0), frames(&file[..24]));
}

#[test]
fn a_damaged_end_is_copied_as_it_is() {
    let writer = BOTH[0];
    let good = [writer.section(UNKNOWN_LENGTH, &[]), writer.interface(), writer.packet(6, b"one", &[])].concat();
    let cut = writer.packet(6, b"two", &[]);
    for tail in [&cut[..20], &[0xff; 50], &cut[..3]] {
        let (out, written) = annotate(&[&good[..], tail].concat(), 33, &[(1, &["F1"]), (2, &["F2"])], "");
        assert!(out.ends_with(tail) && written == 1);
    }
}

#[test]
fn blocks_that_others_count_as_frames_are_left_out_when_asked() {
    let writer = BOTH[1];
    let start = [writer.section(UNKNOWN_LENGTH, &[]), writer.interface()].concat();
    let (custom, kept) = (writer.block(0xbad, &[7; 40]), writer.block(10, &[7; 40]));
    let packet = writer.packet(6, b"one", &[]);
    let file = [&start[..], &custom, &kept, &packet, &writer.block(9, &[1; 8]), &packet].concat();
    for size in [1, 30, 1000] {
        let mut annotator = Annotator::new(HashMap::new(), String::new(), true);
        let mut out: Vec<u8> = file.chunks(size).flat_map(|piece| annotator.feed(piece)).collect();
        out.extend(annotator.finish());
        assert_eq!(out, [&start[..], &kept, &packet, &packet].concat());
    }
}

proptest! {
    #[test]
    fn without_comments_any_pcapng_is_copied(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 28usize..200, size in 1usize..99) {
        let writer = BOTH[0];
        let mut file = [writer.section(UNKNOWN_LENGTH, &[]), writer.interface(), writer.others()].concat();
        let at = at.min(file.len());
        let end = (at + bytes.len()).min(file.len());
        file.splice(at..end, bytes);
        let (out, _) = annotate(&file, size, &[], "");
        prop_assert!(out == file || file[28..].windows(4).any(|four| four == [0x0a, 0x0d, 0x0d, 0x0a]));
    }
}
