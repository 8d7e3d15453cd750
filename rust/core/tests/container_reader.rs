//! Whole files through the public reader: however they are split, and when they are damaged.

use flowscope_core::container::Reader;
use flowscope_core::issue::Issues;
use proptest::prelude::*;

type Seen = (u64, u64, i64, u32, u32, u16, Vec<u8>);

/// Frames, issues and the closing words of a file that arrives in the given pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, Vec<String>, Option<String>) {
    let mut reader = Reader::new();
    let mut issues = Issues::default();
    let mut seen = Vec::new();
    for piece in pieces {
        reader.feed(piece, &mut issues, 0, |f, interfaces| {
            assert!(interfaces.len() > f.interface as usize);
            let data = f.data.to_vec();
            seen.push((f.number, f.offset, f.time_ns, f.wire_length, f.interface, f.link_type, data));
            true
        });
    }
    reader.finish(&mut issues, 0);
    (seen, issues.rows().iter().map(|row| format!("{row:?}")).collect(), reader.error())
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for (at, frame) in frames.iter().enumerate() {
        for field in [at as u32, 7, frame.len() as u32, frame.len() as u32 + 9] {
            file.extend_from_slice(&field.to_le_bytes());
        }
        file.extend_from_slice(frame);
    }
    file
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (12 + body.len().next_multiple_of(4)) as u32;
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), body, &padding, &length.to_be_bytes()].concat()
}

fn pcapng(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        if at % 3 == 0 {
            let section = [0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255];
            file.extend_from_slice(&block(0x0a0d_0d0a, &section));
            file.extend_from_slice(&block(1, &[0, 1, 0, 0, 0, 0, 0, 0]));
        }
        file.extend_from_slice(&block(0x0bad_cafe, frame));
        let length = (frame.len() as u32).to_be_bytes();
        let head = [&[0; 4][..], &[0; 7], &[at as u8], &length, &length].concat();
        file.extend_from_slice(&block(6, &[&head[..], frame].concat()));
    }
    file
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let frames = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 1..8);
    (frames, any::<bool>(), 0usize..40, prop::collection::vec((any::<usize>(), any::<u8>()), 0..4)).prop_map(
        |(frames, ng, cut, damage)| {
            let mut file = if ng { pcapng(&frames) } else { pcap(&frames) };
            file.truncate(file.len().saturating_sub(cut.saturating_sub(20)));
            for (at, value) in damage {
                let length = file.len();
                file[at % length] = value;
            }
            file
        },
    )
}

proptest! {
    #[test]
    fn any_split_gives_the_same(file in file(), sizes in prop::collection::vec(1usize..50, 1..40)) {
        let whole = read([file.as_slice()]);
        prop_assert_eq!(&read(file.chunks(1)), &whole);
        let mut rest = file.as_slice();
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at(rest.len().min(*size));
            pieces.push(piece);
            rest = later;
        }
        prop_assert_eq!(&read(pieces), &whole);
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (frames, _, error) = read([bytes.as_slice()]);
        prop_assert!(!frames.is_empty() || error.is_some() || bytes.len() >= 24);
    }
}

#[test]
fn a_cut_record_is_said_with_numbers() {
    let file = pcap(&[vec![1; 10], vec![2; 64]]);
    let (frames, issues, error) = read([&file[..file.len() - 4]]);
    assert_eq!((frames.len(), error), (1, None));
    assert!(issues[0].contains("record needs 80 bytes, 76 are left"), "{issues:?}");
    assert!(issues[0].contains("truncated-tail") && issues[0].contains("frame: 2"), "{issues:?}");
}

#[test]
fn damage_keeps_what_was_before() {
    let mut file = pcap(&[vec![1; 10], vec![2; 64]]);
    file[24 + 26 + 11] = 0xb0;
    let (frames, issues, _) = read([file.as_slice()]);
    assert_eq!((frames.len(), issues.len()), (1, 1));
    assert!(issues[0].contains("damaged-record"));
}

#[test]
fn the_caller_can_stop() {
    let mut reader = Reader::new();
    let mut issues = Issues::default();
    reader.feed(&pcap(&vec![vec![1; 10]; 9]), &mut issues, 0, |frame, _| frame.number < 3);
    reader.finish(&mut issues, 0);
    assert_eq!((reader.frames(), reader.format(), issues.is_empty()), (3, Some("pcap"), true));
}

#[test]
fn what_is_no_capture_has_a_reason() {
    assert_eq!(read([]).2.as_deref(), Some("the file is empty"));
    assert!(read([&b"# a text file of some length\n"[..]]).2.is_some_and(|error| error.contains("text file")));
    assert!(read([&pcap(&[])[..10]]).2.is_some_and(|error| error.contains("needs 24 bytes, 10 are there")));
    assert!(read([&pcapng(&[vec![]])[..9]]).2.is_some_and(|error| error.contains("cut short after 9 bytes")));
    let mut old = pcap(&[]);
    old[4] = 1;
    assert!(read([old.as_slice()]).2.is_some_and(|error| error.contains("version 1.4")));
}
