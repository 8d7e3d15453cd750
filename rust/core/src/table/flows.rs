//! The flow table: one row per flow and point.

use arrow_array::RecordBatch;
use arrow_array::types::{Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};

use super::column::Columns;
use crate::decode::packet::{NO_VLAN, Tunnel};
use crate::flow::community::community_id;
use crate::flow::half::{Half, NEVER};
use crate::flow::record::Flow;

/// A flow with its endpoints' address numbers.
pub struct Row<'a> {
    pub flow: &'a Flow,
    pub src: u32,
    pub dst: u32,
    pub open: bool,
}

/// The table of these flows.
pub fn table(rows: &[Row<'_>], with_community_id: bool) -> RecordBatch {
    let mut columns = Columns::default();
    identity(&mut columns);
    extent(&mut columns);
    columns.text("state", |row| Some(row.flow.state()));
    columns.text("history", |row| Some(row.flow.history.text()));
    columns.nullable::<Int64Type>("handshake_rtt_ns", |row| row.flow.handshake_rtt_ns);
    columns.nullable::<Int64Type>("synack_ns", |row| {
        let flow = row.flow;
        let syn = flow.halves[0].opening.as_ref()?;
        (flow.syn_ack_ns != NEVER).then(|| flow.syn_ack_ns - syn.time_ns)
    });
    surroundings(&mut columns, with_community_id);
    for (half, name) in ["fwd", "rev"].into_iter().enumerate() {
        counters(&mut columns, half, name);
        sequence(&mut columns, half, name);
        opening(&mut columns, half, name);
        times(&mut columns, half, name);
    }
    columns.table(rows)
}

fn identity<'a>(columns: &mut Columns<'a, Row<'a>>) {
    columns.plain::<UInt64Type>("flow", |row| row.flow.number);
    columns.plain::<UInt32Type>("point", |row| row.flow.key.point());
    columns.plain::<UInt8Type>("protocol", |row| row.flow.key.protocol());
    columns.plain::<UInt32Type>("src", |row| row.src);
    columns.plain::<UInt32Type>("dst", |row| row.dst);
    columns.plain::<UInt16Type>("src_port", |row| row.flow.endpoints()[0].1);
    columns.plain::<UInt16Type>("dst_port", |row| row.flow.endpoints()[1].1);
    columns.text("oriented_by", |row| Some(row.flow.oriented_by.name()));
    columns.flag("open", |row| row.open);
}

fn extent<'a>(columns: &mut Columns<'a, Row<'a>>) {
    columns.plain::<Int64Type>("first_ns", |row| {
        row.flow.halves.iter().map(|half| half.first_ns).filter(|&ns| ns != NEVER).min().unwrap_or(NEVER)
    });
    columns.plain::<Int64Type>("last_ns", |row| row.flow.halves.iter().map(|half| half.last_ns).max().unwrap_or(NEVER));
    columns.plain::<UInt32Type>("first_capture", |row| row.flow.first.capture);
    columns.plain::<UInt64Type>("first_frame", |row| row.flow.first.frame);
    columns.plain::<UInt64Type>("first_offset", |row| row.flow.first.offset);
    columns.plain::<UInt32Type>("last_capture", |row| row.flow.last.capture);
    columns.plain::<UInt64Type>("last_frame", |row| row.flow.last.frame);
    columns.plain::<UInt64Type>("last_offset", |row| row.flow.last.offset);
}

fn surroundings<'a>(columns: &mut Columns<'a, Row<'a>>, with_community_id: bool) {
    columns.text("tunnel", |row| match row.flow.tunnel {
        Tunnel::None => None,
        Tunnel::Vxlan => Some("vxlan"),
        Tunnel::Geneve => Some("geneve"),
        Tunnel::Gre => Some("gre"),
        Tunnel::IpIp => Some("ipip"),
        Tunnel::Gtp => Some("gtp-u"),
        Tunnel::Erspan => Some("erspan"),
        Tunnel::Ipv6InIp => Some("6in4"),
    });
    columns.nullable::<UInt32Type>("tunnel_id", |row| (row.flow.tunnel != Tunnel::None).then_some(row.flow.tunnel_id));
    columns.nullable::<UInt16Type>("vlan", |row| (row.flow.vlan != NO_VLAN).then_some(row.flow.vlan));
    columns.plain::<UInt32Type>("interface", |row| row.flow.interface);
    columns.plain::<UInt32Type>("truncated", |row| row.flow.truncated);
    columns.plain::<UInt32Type>("icmp_errors", |row| row.flow.icmp_errors);
    columns.made_text("community_id", move |row| with_community_id.then(|| community_id(row.flow)).flatten());
}

fn counters<'a>(columns: &mut Columns<'a, Row<'a>>, half: usize, name: &str) {
    let mut wide = |column: &str, read: fn(&Half) -> u64| {
        columns.plain::<UInt64Type>(format!("{name}_{column}"), move |row| read(&row.flow.halves[half]));
    };
    wide("packets", |half| half.packets);
    wide("bytes", |half| half.bytes);
    wide("payload_bytes", |half| half.payload_bytes);
    wide("covered_bytes", Half::covered_bytes);
    wide("missing_bytes", |half| half.trouble().map_or(0, |trouble| trouble.holes.bytes()));
    let mut narrow = |column: &str, read: fn(&Half) -> u32| {
        columns.plain::<UInt32Type>(format!("{name}_{column}"), move |row| read(&row.flow.halves[half]));
    };
    narrow("retransmissions", |half| half.trouble().map_or(0, |trouble| trouble.retransmissions));
    narrow("fast_retransmissions", |half| half.trouble().map_or(0, |trouble| trouble.fast_retransmissions));
    narrow("spurious_retransmissions", |half| half.trouble().map_or(0, |trouble| trouble.spurious_retransmissions));
    narrow("duplicates", |half| half.trouble().map_or(0, |trouble| trouble.duplicates));
    narrow("out_of_order", |half| half.trouble().map_or(0, |trouble| trouble.out_of_order));
    narrow("duplicate_acks", |half| half.trouble().map_or(0, |trouble| trouble.duplicate_acks));
    narrow("zero_windows", |half| half.trouble().map_or(0, |trouble| trouble.zero_windows));
    narrow("lost_segments", |half| half.trouble().map_or(0, |trouble| trouble.lost_segments));
    narrow("acked_unseen", |half| half.trouble().map_or(0, |trouble| trouble.acked_unseen));
    narrow("gaps", |half| half.trouble().map_or(0, |trouble| trouble.holes.count()));
    narrow("syns", |half| half.syns);
    narrow("resets", |half| half.resets);
    narrow("fins", |half| half.fins);
    narrow("max_segment", |half| half.max_segment);
    narrow("max_acked_segment", |half| half.max_acked_segment);
}

fn sequence<'a>(columns: &mut Columns<'a, Row<'a>>, half: usize, name: &str) {
    let mut number = |column: &str, read: fn(&Half) -> Option<u32>| {
        columns.nullable::<UInt32Type>(format!("{name}_{column}"), move |row| read(&row.flow.halves[half]));
    };
    number("isn", |half| half.opening.as_ref().map(|opening| opening.isn));
    number("base_seq", |half| half.sequenced.then_some(half.low_seq));
    number("next_seq", |half| half.sequenced.then_some(half.next_seq));
    number("last_ack", |half| half.acked.then_some(half.highest_ack));
    number("syn_layout", |half| half.opening.as_ref().map(|opening| opening.layout));
    number("syn_tsval", |half| half.opening.as_ref().and_then(|opening| opening.tsval));
}

fn opening<'a>(columns: &mut Columns<'a, Row<'a>>, half: usize, name: &str) {
    let mut short = |column: &str, read: fn(&Half) -> Option<u16>| {
        columns.nullable::<UInt16Type>(format!("{name}_{column}"), move |row| read(&row.flow.halves[half]));
    };
    short("mss", |half| half.opening.as_ref().and_then(|opening| opening.mss));
    short("syn_window", |half| half.opening.as_ref().map(|opening| opening.window));
    short("syn_ip_id", |half| half.opening.as_ref().map(|opening| opening.ip_id));
    let mut byte = |column: &str, read: fn(&Half) -> Option<u8>| {
        columns.nullable::<UInt8Type>(format!("{name}_{column}"), move |row| read(&row.flow.halves[half]));
    };
    byte("window_scale", |half| half.opening.as_ref().and_then(|opening| opening.window_scale));
    byte("syn_ttl", |half| half.opening.as_ref().map(|opening| opening.ttl));
    byte("ttl_min", |half| (half.packets > 0).then_some(half.ttl_min));
    byte("ttl_max", |half| (half.packets > 0).then_some(half.ttl_max));
    byte("packet_types", |half| Some(half.packet_types));
    columns.flag(format!("{name}_sack_permitted"), move |row| {
        row.flow.halves[half].opening.as_ref().is_some_and(|opening| opening.sack_permitted)
    });
}

fn times<'a>(columns: &mut Columns<'a, Row<'a>>, half: usize, name: &str) {
    let mut time = |column: &str, read: fn(&Half) -> i64| {
        columns.nullable::<Int64Type>(format!("{name}_{column}"), move |row| {
            Some(read(&row.flow.halves[half])).filter(|&ns| ns != NEVER)
        });
    };
    time("first_ns", |half| half.first_ns);
    time("last_ns", |half| half.last_ns);
    time("first_data_ns", |half| half.first_data_ns);
    time("last_data_ns", |half| half.last_data_ns);
    columns.nullable::<UInt64Type>(format!("{name}_payload_digest"), move |row| {
        Some(row.flow.halves[half].payload_digest).filter(|&digest| digest != 0)
    });
}
