//! pcapng files block by block, in both byte orders, through the public reader.

use flowscope_core::container::{Interface, Reader};
use flowscope_core::issue::Issues;

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
        let padded = body.len().next_multiple_of(4);
        let length = self.u32(padded as u32 + 12);
        [&self.u32(kind)[..], &length, body, &vec![0; padded - body.len()], &length].concat()
    }

    fn section(self) -> Vec<u8> {
        self.block(0x0a0d_0d0a, &[&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat())
    }

    fn interface(self, link: u16, snap: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = [&self.u16(link)[..], &[0, 0], &self.u32(snap)].concat();
        for (code, value) in options {
            body.extend_from_slice(&[self.u16(*code), self.u16(value.len() as u16)].concat());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, ticks: u64, captured: u32, data: &[u8]) -> Vec<u8> {
        let fields = [interface, (ticks >> 32) as u32, ticks as u32, captured, data.len() as u32 + 100];
        let head: Vec<u8> = fields.iter().flat_map(|field| self.u32(*field)).collect();
        self.block(6, &[&head[..], data].concat())
    }
}

impl Writer {
    fn statistics(self, interface: u32, ended: u64, options: &[(u16, u64)]) -> Vec<u8> {
        let mut body = [self.u32(interface), self.u32(0), self.u32(0)].concat();
        body.extend_from_slice(&[self.u16(3), self.u16(8)].concat());
        body.extend_from_slice(&[self.u32((ended >> 32) as u32), self.u32(ended as u32)].concat());
        for &(code, value) in options {
            let value = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
            body.extend_from_slice(&[&self.u16(code)[..], &self.u16(8), &value].concat());
        }
        self.block(5, &body)
    }
}

struct Seen {
    number: u64,
    time_ns: i64,
    wire_length: u32,
    interface: u32,
    data: Vec<u8>,
}

fn read(file: &[u8]) -> (Vec<Seen>, Vec<Interface>, Vec<&'static str>) {
    let (mut reader, mut issues, mut seen) = (Reader::new(), Issues::default(), Vec::new());
    reader.feed(file, &mut issues, 0, |frame, _| {
        seen.push(Seen {
            number: frame.number,
            time_ns: frame.time_ns,
            wire_length: frame.wire_length,
            interface: frame.interface,
            data: frame.data.to_vec(),
        });
        true
    });
    reader.finish(&mut issues, 0);
    assert_eq!(reader.format(), Some("pcapng"));
    (seen, reader.interfaces().to_vec(), issues.rows().iter().map(|row| row.kind).collect())
}

#[test]
fn sections_go_on_counting_frames_and_interfaces() {
    let mut file = Vec::new();
    for writer in BOTH {
        file.extend_from_slice(&writer.section());
        file.extend_from_slice(&writer.interface(1, 0, &[(2, b"eth0")]));
        file.extend_from_slice(&writer.interface(113, 96, &[]));
        file.extend_from_slice(&writer.enhanced(1, 5, 3, b"abc"));
    }
    let (seen, interfaces, issues) = read(&file);
    assert_eq!(issues, [] as [&str; 0]);
    assert_eq!(seen.iter().map(|frame| (frame.number, frame.interface)).collect::<Vec<_>>(), [(1, 1), (2, 3)]);
    assert!(seen.iter().all(|frame| frame.data == b"abc" && frame.wire_length == 103 && frame.time_ns == 5_000));
    assert_eq!(interfaces.len(), 4);
    assert_eq!(
        (interfaces[2].name.as_deref(), interfaces[3].link_type, interfaces[3].snap_length),
        (Some("eth0"), 113, 96)
    );
}

#[test]
fn each_interface_has_its_own_clock() {
    for writer in BOTH {
        let mut file = [writer.section(), writer.interface(1, 0, &[(9, &[9])])].concat();
        file.extend_from_slice(&writer.interface(1, 0, &[(9, &[0x80 | 1])]));
        file.extend_from_slice(&writer.enhanced(0, 1 << 40, 0, b""));
        file.extend_from_slice(&writer.enhanced(1, 3, 0, b""));
        let times: Vec<i64> = read(&file).0.iter().map(|frame| frame.time_ns).collect();
        assert_eq!(times, [1 << 40, 1_500_000_000]);
    }
}

#[test]
fn simple_and_obsolete_packets() {
    for writer in BOTH {
        let mut file = [writer.section(), writer.interface(1, 4, &[]), writer.enhanced(0, 7, 1, b"x")].concat();
        file.extend_from_slice(&writer.block(3, &[&writer.u32(9)[..], b"abcd"].concat()));
        let fields: Vec<u8> = [0, 8, 2, 60].iter().flat_map(|field| writer.u32(*field)).collect();
        file.extend_from_slice(&writer.block(2, &[&[0; 4][..], &fields, b"yz"].concat()));
        let (seen, _, issues) = read(&file);
        assert_eq!(issues, [] as [&str; 0]);
        assert_eq!((seen[1].data.as_slice(), seen[1].wire_length, seen[1].time_ns), (&b"abcd"[..], 9, 7_000));
        assert_eq!((seen[2].data.as_slice(), seen[2].wire_length, seen[2].time_ns), (&b"yz"[..], 60, 8_000));
    }
}

#[test]
fn blocks_that_are_no_packets_are_passed_over() {
    let writer = Writer { big: false };
    let mut file = [writer.section(), writer.interface(1, 0, &[])].concat();
    for kind in [4, 5, 10, 0xbad, 0x4000_0bad, 0x1234_5678] {
        file.extend_from_slice(&writer.block(kind, &[7; 40]));
    }
    file.extend_from_slice(&writer.enhanced(0, 0, 1, b"x"));
    let (seen, _, issues) = read(&file);
    assert_eq!((seen.len(), seen[0].number, issues.len()), (1, 1, 0));
}

#[test]
fn packets_that_cannot_be_used_keep_their_number() {
    let writer = Writer { big: true };
    let mut file = [writer.section(), writer.interface(1, 0, &[])].concat();
    file.extend_from_slice(&writer.enhanced(3, 0, 1, b"x"));
    file.extend_from_slice(&writer.enhanced(0, 0, 900, b"x"));
    file.extend_from_slice(&writer.enhanced(0, 0, 1, b"x"));
    let (seen, _, issues) = read(&file);
    assert_eq!((seen.len(), seen[0].number), (1, 3));
    assert_eq!(issues, ["unknown-interface", "damaged-block"]);
}

#[test]
fn a_wrong_length_at_the_end_is_survived_once() {
    let writer = Writer { big: false };
    let mut file = [writer.section(), writer.interface(1, 0, &[]), writer.enhanced(0, 0, 1, b"x")].concat();
    let length = file.len();
    file[length - 4] = 0;
    file.extend_from_slice(&writer.enhanced(0, 0, 1, b"y"));
    let (seen, _, issues) = read(&file);
    assert_eq!((seen.len(), issues), (2, vec!["damaged-block"]));
    file.truncate(length);
    file.extend_from_slice(&writer.block(0x7777_7777, b"lost"));
    assert_eq!(read(&file).2, ["damaged-block", "damaged-record"]);
}

#[test]
fn a_long_block_needs_no_memory_and_its_absence_is_said() {
    let writer = Writer { big: false };
    let mut file = [writer.section(), writer.interface(1, 0, &[])].concat();
    file.extend_from_slice(&[writer.u32(0x1234), writer.u32(100_000_000)].concat());
    file.extend_from_slice(&[0; 50]);
    assert_eq!(read(&file).2, ["truncated-tail"]);
}

#[test]
fn statistics_tell_the_end_of_the_capture_and_what_was_lost() {
    for writer in BOTH {
        let file = [
            writer.section(),
            writer.interface(1, 0, &[(9, &[9])]),
            writer.interface(1, 0, &[(9, &[6])]),
            writer.enhanced(0, 5, 4, b"abcd"),
            writer.statistics(1, 7_000_000, &[(4, 10), (5, 3), (7, 4)]),
            writer.statistics(9, 7_000_000, &[(5, 3)]),
        ]
        .concat();
        let (seen, interfaces, issues) = read(&file);
        assert_eq!((seen.len(), issues.len()), (1, 0));
        assert_eq!((interfaces[0].until_ns, interfaces[0].dropped), (None, 0));
        assert_eq!((interfaces[1].until_ns, interfaces[1].dropped), (Some(7_000_000_000), 7));
    }
}
