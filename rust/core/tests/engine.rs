//! Bytes in, tables out: the same tables however the bytes are split, and what they say of one connection.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use flowscope_core::engine::{Engine, Settings};
use flowscope_core::table::Tables;
use proptest::prelude::*;

const SAMPLES: [&str; 3] = ["hairpin/be1.pcap", "blocked-in-member/be2.pcapng", "closed-port/be2.pcap"];

fn sample(name: &str) -> Vec<u8> {
    let path = format!("{}/../../captures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read(pieces: impl Iterator<Item = Vec<u8>>) -> Tables {
    let mut engine = Engine::new(Settings { community_id: true, ..Settings::default() });
    let capture = engine.open(0);
    for piece in pieces {
        engine.feed(capture, &piece);
    }
    engine.close(capture);
    engine.finish()
}

fn same(a: &Tables, b: &Tables) {
    let all = |tables: &Tables| -> Vec<RecordBatch> {
        let Tables { flows, events, messages, issues, addresses, points } = tables;
        [flows, events, messages, issues, addresses, points].into_iter().cloned().collect()
    };
    assert_eq!(all(a), all(b));
}

fn column<'a>(table: &'a RecordBatch, name: &str) -> &'a dyn Array {
    table.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
}

#[test]
fn byte_by_byte_gives_the_same_tables() {
    for name in SAMPLES {
        let bytes = sample(name);
        let whole = read(std::iter::once(bytes.clone()));
        assert!(whole.flows.num_rows() > 0);
        same(&whole, &read(bytes.iter().map(|&byte| vec![byte])));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_split_gives_the_same_tables(which in 0usize..3, sizes in prop::collection::vec(1usize..9000, 1..60)) {
        let bytes = sample(SAMPLES[which]);
        let mut pieces = Vec::new();
        let mut at = 0;
        for size in sizes.iter().cycle() {
            if at >= bytes.len() { break; }
            let end = (at + size).min(bytes.len());
            pieces.push(bytes[at..end].to_vec());
            at = end;
        }
        same(&read(std::iter::once(bytes)), &read(pieces.into_iter()));
    }

    /// Cut anywhere and flipped anywhere: tables, never a panic.
    #[test]
    fn damage_is_survived(which in 0usize..3, cut in 0.0f64..1.0, flips in prop::collection::vec((0.0f64..1.0, any::<u8>()), 0..30)) {
        let mut bytes = sample(SAMPLES[which]);
        for (at, value) in flips {
            let index = (at * (bytes.len() - 1) as f64) as usize;
            bytes[index] ^= value;
        }
        bytes.truncate((cut * bytes.len() as f64) as usize);
        let tables = read(std::iter::once(bytes));
        prop_assert!(tables.points.num_rows() <= tables.flows.num_rows() + 64);
    }
}

#[test]
fn captures_of_one_ring_share_their_flows() {
    let bytes = sample("closed-port/be2.pcap");
    let whole = read(std::iter::once(bytes.clone()));
    // The second file of the ring starts with a file header of its own.
    let mut middle = 24;
    while middle < bytes.len() / 2 {
        middle += 16 + u32::from_le_bytes(bytes[middle + 8..middle + 12].try_into().unwrap()) as usize;
    }
    let mut engine = Engine::new(Settings::default());
    let (first, second) = (engine.open(7), engine.open(7));
    engine.feed(first, &bytes[..middle]);
    engine.feed(second, &bytes[..24]);
    engine.feed(second, &bytes[middle..]);
    let tables = engine.finish();
    assert_eq!(tables.flows.num_rows(), whole.flows.num_rows());
    assert_eq!(tables.points.num_rows(), 1);
    for name in ["fwd_packets", "rev_packets"] {
        let sum = |table: &RecordBatch| column(table, name).as_primitive::<UInt64Type>().values().iter().sum::<u64>();
        assert_eq!(sum(&tables.flows), sum(&whole.flows));
    }
}

#[test]
fn drained_flows_come_again_when_they_change() {
    let bytes = sample("closed-port/be2.pcap");
    let whole = read(std::iter::once(bytes.clone()));
    let mut engine = Engine::new(Settings::default());
    let capture = engine.open(0);
    let mut latest = std::collections::BTreeMap::new();
    for piece in bytes.chunks(700) {
        engine.feed(capture, piece);
        keep(&engine.drain().flows, &mut latest);
    }
    keep(&engine.finish().flows, &mut latest);
    let mut expected = std::collections::BTreeMap::new();
    keep(&whole.flows, &mut expected);
    assert_eq!(latest, expected);
}

fn keep(flows: &RecordBatch, rows: &mut std::collections::BTreeMap<u64, (i64, u64, u32)>) {
    let numbers = column(flows, "flow").as_primitive::<UInt64Type>();
    for row in 0..flows.num_rows() {
        let value = (
            column(flows, "last_ns").as_primitive::<Int64Type>().value(row),
            column(flows, "fwd_packets").as_primitive::<UInt64Type>().value(row),
            column(flows, "fwd_syns").as_primitive::<UInt32Type>().value(row),
        );
        rows.insert(numbers.value(row), value);
    }
}

#[test]
fn frames_outside_the_window_are_counted_but_not_followed() {
    let bytes = sample("closed-port/be2.pcap");
    let mut engine = Engine::new(Settings { max_frames: Some(10), ..Settings::default() });
    let capture = engine.open(0);
    assert!(!engine.feed(capture, &bytes), "enough was read");
    assert_eq!(engine.close(capture).map(|summary| summary.frames), Some(10));
    let mut engine = Engine::new(Settings { to_ns: Some(0), ..Settings::default() });
    let capture = engine.open(0);
    engine.feed(capture, &bytes);
    assert_eq!(engine.close(capture).map(|summary| summary.frames), Some(132));
    assert_eq!(engine.finish().flows.num_rows(), 0);
}

#[test]
fn what_is_no_capture_is_refused_with_a_reason() {
    for bytes in [b"".as_slice(), b"just some text, no packets\n", &[0xff; 64]] {
        let mut engine = Engine::new(Settings::default());
        let capture = engine.open(0);
        engine.feed(capture, bytes);
        let summary = engine.close(capture).unwrap();
        assert_eq!(summary.format, None);
        assert!(summary.error.is_some());
        assert!(engine.close(capture).is_none(), "closed is closed");
    }
}

#[test]
fn numbers_of_addresses_that_nobody_carries_stand_for_others() {
    let text = |tables: &Tables| {
        column(&tables.addresses, "text").as_string_view().iter().map(|one| one.unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut engine = Engine::new(Settings::default());
    let capture = engine.open(0);
    engine.feed(capture, &sample("hairpin/be1.pcap"));
    engine.close(capture);
    let before = text(&engine.drain());
    assert!(before.len() > 2);
    assert_eq!(engine.forget(i64::MAX, i64::MAX), 0);
    assert_eq!(engine.keep_addresses(&[1]), 2, "the table ends with the last that is used");
    let again = engine.open(0);
    engine.feed(again, &sample("hairpin/be1.pcap"));
    engine.close(again);
    let after = text(&engine.drain());
    assert_eq!(after[1], before[1], "what is used keeps its number");
    assert_eq!(after.iter().collect::<HashSet<_>>().len(), after.len(), "no address has two numbers");
    let known: HashSet<_> = before.iter().collect();
    assert!(after.iter().all(|one| known.contains(one)), "every number that was free stands for an address again");
    assert_eq!(engine.keep_addresses(&[]), 0);
}

#[test]
fn forgotten_flows_start_anew_and_the_others_go_on() {
    let bytes = sample("hairpin/be1.pcap");
    let whole = read(std::iter::once(bytes.clone()));
    let mut engine = Engine::new(Settings::default());
    let capture = engine.open(0);
    let half = bytes.len() / 2;
    engine.feed(capture, &bytes[..half]);
    let known = engine.drain().flows.num_rows();
    assert_eq!(engine.summary(capture).map(|summary| summary.format), Some(Some("pcap")));
    assert_eq!(engine.forget(i64::MIN, i64::MIN), known, "nothing is that old");
    let left = engine.forget(i64::MAX, i64::MIN);
    assert!(left < known, "closed flows go, open ones stay");
    engine.feed(capture, &bytes[half..]);
    engine.close(capture);
    let rest = engine.finish().flows;
    let numbers = column(&rest, "flow").as_primitive::<UInt64Type>().values().to_vec();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "rows keep their order");
    let started = numbers.iter().filter(|&&number| number >= known as u64).count();
    // What the first half closed has no later packets here, so both ways count the same connections.
    assert_eq!(known + started, whole.flows.num_rows());
}

#[test]
fn time_that_goes_back_is_an_issue_at_its_frame() {
    let bytes = sample("hairpin/be1.pcap");
    let once = read(std::iter::once(bytes.clone()));
    assert_eq!(once.issues.num_rows(), 0);
    // The file header has 24 bytes; what follows are the records, here twice.
    let twice = read([bytes.clone(), bytes[24..].to_vec()].into_iter());
    let frames: u64 = column(&once.points, "frames").as_primitive::<UInt64Type>().values().iter().sum();
    let found = (twice.issues.num_rows(), column(&twice.issues, "frame").as_primitive::<UInt64Type>().value(0));
    assert_eq!(found, (1, frames + 1));
    assert_eq!(column(&twice.issues, "kind").as_string_view().value(0), "time-goes-back");
}
