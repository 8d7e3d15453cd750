//! Frames read again: the same however the bytes are split, and those that were asked for.

use flowscope_core::selection::{Picked, Selection, Stretch, Wanted};
use proptest::prelude::*;

fn sample(name: &str) -> Vec<u8> {
    let path = format!("{}/../../captures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn pick<'a>(wanted: &Wanted, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Picked> {
    let mut selection = Selection::new(wanted.clone());
    let mut picked: Vec<Picked> = pieces.into_iter().flat_map(|piece| selection.feed(piece)).collect();
    picked.extend(selection.finish());
    picked
}

fn everything() -> Wanted {
    Wanted { everything: true, ..Wanted::default() }
}

fn mapped(address: [u8; 4]) -> [u8; 16] {
    let mut mapped = [0; 16];
    mapped[10..12].fill(0xff);
    mapped[12..].copy_from_slice(&address);
    mapped
}

/// An Ethernet frame with an IPv4 UDP datagram.
fn datagram(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<u8> {
    let udp = [&from.1.to_be_bytes()[..], &to.1.to_be_bytes(), &[0, 8, 0, 0]].concat();
    let ip = [&[0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0][..], &from.0, &to.0].concat();
    [&[0; 12][..], &[8, 0], &ip, &udp].concat()
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65535, 1].map(u32::to_le_bytes).concat();
    for (at, frame) in (0u32..).zip(frames) {
        file.extend_from_slice(&[at, 0, frame.len() as u32, frame.len() as u32].map(u32::to_le_bytes).concat());
        file.extend_from_slice(frame);
    }
    file
}

const HERE: ([u8; 4], u16) = ([10, 0, 0, 1], 1000);
const THERE: ([u8; 4], u16) = ([10, 0, 0, 2], 53);
const OTHER: ([u8; 4], u16) = ([10, 0, 0, 3], 53);

fn stretch(first: u64, last: u64, most: u64) -> Stretch {
    Stretch {
        src: mapped(HERE.0),
        dst: mapped(THERE.0),
        src_port: HERE.1,
        dst_port: THERE.1,
        protocol: 17,
        first,
        last,
        most,
    }
}

fn numbers(picked: &[Picked]) -> Vec<u64> {
    picked.iter().map(|one| one.number).collect()
}

#[test]
fn a_flow_is_both_directions_between_its_first_and_last_frame() {
    let there = datagram(HERE, THERE);
    let back = datagram(THERE, HERE);
    let file = pcap(&[there.clone(), datagram(HERE, OTHER), back.clone(), there.clone(), back.clone(), there]);
    let wanted = |one: Stretch| Wanted { stretches: vec![one], ..Wanted::default() };
    assert_eq!(numbers(&pick(&wanted(stretch(1, 6, 9)), [&file[..]])), [1, 3, 4, 5, 6]);
    assert_eq!(numbers(&pick(&wanted(stretch(2, 4, 9)), [&file[..]])), [3, 4]);
    assert_eq!(numbers(&pick(&wanted(stretch(1, 6, 2)), [&file[..]])), [1, 3]);
    let both = Wanted { stretches: vec![stretch(1, 1, 9), stretch(1, 3, 9)], frames: vec![2], ..Wanted::default() };
    let picked = pick(&both, [&file[..]]);
    assert_eq!(picked.iter().map(|one| one.stretches.clone()).collect::<Vec<_>>(), [vec![0, 1], vec![], vec![1]]);
    assert_eq!(picked[2].data, back);
}

#[test]
fn reading_ends_after_the_last_wanted_frame() {
    let file = pcap(&vec![datagram(HERE, THERE); 9]);
    let mut selection = Selection::new(Wanted { frames: vec![3, 2], ..Wanted::default() });
    assert!(!selection.done());
    assert_eq!(numbers(&selection.feed(&file)), [2, 3]);
    assert!(selection.done());
    assert!(Selection::new(Wanted::default()).done());
}

#[test]
fn bounds_hold_for_everything() {
    let file = pcap(&vec![datagram(HERE, THERE); 9]);
    let wanted =
        Wanted { from_ns: Some(2_000_000_000), to_ns: Some(6_000_000_000), max_frames: Some(5), ..everything() };
    assert_eq!(numbers(&pick(&wanted, [&file[..]])), [3, 4, 5]);
}

#[test]
fn a_plain_pcap_is_read_from_the_middle_and_no_other_format() {
    let frames: Vec<Vec<u8>> = (0..9).map(|port| datagram(([10, 0, 0, 1], port), THERE)).collect();
    let file = pcap(&frames);
    let offset = 24 + 6 * (16 + frames[0].len());
    let mut selection = Selection::new(Wanted { frames: vec![8], ..Wanted::default() });
    assert!(selection.feed(&file[..24]).is_empty());
    assert!(selection.skip_to(7, offset as u64));
    let picked = selection.feed(&file[offset..]);
    assert_eq!((numbers(&picked), &picked[0].data), (vec![8], &frames[7]));
    let mut selection = Selection::new(everything());
    selection.feed(&sample("blocked-in-member/be2.pcapng")[..200]);
    assert!(!selection.skip_to(7, 1000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_split_gives_the_same_frames(which in 0usize..2, size in 1usize..5000) {
        let file = sample(["hairpin/be1.pcap", "blocked-in-member/be2.pcapng"][which]);
        prop_assert_eq!(pick(&everything(), file.chunks(size)), pick(&everything(), [&file[..]]));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..400) {
        let mut file = sample("blocked-in-member/be2.pcapng")[..600].to_vec();
        let at = at.min(file.len());
        let end = (at + bytes.len()).min(file.len());
        file.splice(at..end, bytes);
        let _ = pick(&everything(), file.chunks(97));
    }
}
