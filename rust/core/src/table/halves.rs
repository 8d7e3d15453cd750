//! The columns of the flow table that each half has.

use arrow_array::types::{ArrowPrimitiveType, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};

use super::column::Columns;
use crate::decode::packet::CUT_LAYOUT;
use crate::flow::half::{Half, NEVER, Opening, Trouble};
use crate::flow::record::Flow;

/// The columns of one half, named after it.
struct HalfColumns<'c> {
    columns: &'c mut Columns<'static, Flow>,
    half: usize,
    name: &'c str,
}

/// Adds the columns of one half.
pub fn add(columns: &mut Columns<'static, Flow>, half: usize, name: &str) {
    let mut columns = HalfColumns { columns, half, name };
    counters(&mut columns);
    sequence(&mut columns);
    opening(&mut columns);
    times(&mut columns);
}

impl HalfColumns<'_> {
    fn name(&self, column: &str) -> String {
        format!("{}_{column}", self.name)
    }

    fn plain<T: ArrowPrimitiveType>(&mut self, column: &str, read: impl Fn(&Half) -> T::Native + 'static) {
        let half = self.half;
        self.columns.plain::<T>(self.name(column), move |flow| read(flow.half(half)));
    }

    fn nullable<T: ArrowPrimitiveType>(&mut self, column: &str, read: impl Fn(&Half) -> Option<T::Native> + 'static) {
        let half = self.half;
        self.columns.nullable::<T>(self.name(column), move |flow| read(flow.half(half)));
    }

    fn flag(&mut self, column: &str, read: impl Fn(&Half) -> bool + 'static) {
        let half = self.half;
        self.columns.flag(self.name(column), move |flow| read(flow.half(half)));
    }

    /// 0 in a half without trouble.
    fn trouble<T: ArrowPrimitiveType>(&mut self, column: &str, read: impl Fn(&Trouble) -> T::Native + 'static) {
        self.plain::<T>(column, move |half| half.trouble().map_or_else(T::Native::default, &read));
    }

    /// Null in a half without SYN or SYN-ACK.
    fn opening<T: ArrowPrimitiveType>(&mut self, column: &str, read: impl Fn(&Opening) -> Option<T::Native> + 'static) {
        self.nullable::<T>(column, move |half| half.opening.as_ref().and_then(&read));
    }
}

fn counters(columns: &mut HalfColumns<'_>) {
    columns.plain::<UInt64Type>("packets", |half| half.packets);
    columns.plain::<UInt64Type>("bytes", |half| half.bytes);
    columns.plain::<UInt64Type>("payload_bytes", |half| half.payload_bytes);
    columns.plain::<UInt64Type>("covered_bytes", Half::covered_bytes);
    columns.trouble::<UInt64Type>("missing_bytes", |trouble| trouble.holes.bytes());
    columns.trouble::<UInt32Type>("retransmissions", |trouble| trouble.retransmissions);
    columns.trouble::<UInt32Type>("fast_retransmissions", |trouble| trouble.fast_retransmissions);
    columns.trouble::<UInt32Type>("spurious_retransmissions", |trouble| trouble.spurious_retransmissions);
    columns.trouble::<UInt32Type>("duplicates", |trouble| trouble.duplicates);
    columns.trouble::<UInt32Type>("out_of_order", |trouble| trouble.out_of_order);
    columns.trouble::<UInt32Type>("duplicate_acks", |trouble| trouble.duplicate_acks);
    columns.trouble::<UInt32Type>("zero_windows", |trouble| trouble.zero_windows);
    columns.trouble::<UInt32Type>("lost_segments", |trouble| trouble.lost_segments);
    columns.trouble::<UInt32Type>("acked_unseen", |trouble| trouble.acked_unseen);
    columns.trouble::<UInt32Type>("gaps", |trouble| trouble.holes.count());
    columns.plain::<UInt32Type>("syns", |half| half.syns);
    columns.plain::<UInt32Type>("resets", |half| half.resets);
    columns.plain::<UInt32Type>("fins", |half| half.fins);
    columns.plain::<UInt32Type>("max_segment", |half| half.max_segment);
    columns.plain::<UInt32Type>("max_acked_segment", |half| half.max_acked_segment);
}

fn sequence(columns: &mut HalfColumns<'_>) {
    columns.opening::<UInt32Type>("isn", |opening| Some(opening.isn));
    columns.nullable::<UInt32Type>("base_seq", |half| half.sequenced.then_some(half.low_seq));
    columns.nullable::<UInt32Type>("next_seq", |half| half.sequenced.then_some(half.next_seq));
    columns.nullable::<UInt32Type>("last_ack", |half| half.acked.then_some(half.highest_ack));
    columns.opening::<UInt32Type>("syn_layout", |opening| Some(opening.layout).filter(|&layout| layout != CUT_LAYOUT));
    columns.opening::<UInt32Type>("syn_tsval", |opening| opening.tsval);
}

fn opening(columns: &mut HalfColumns<'_>) {
    columns.opening::<UInt16Type>("mss", |opening| opening.mss);
    columns.opening::<UInt16Type>("syn_window", |opening| Some(opening.window));
    columns.opening::<UInt16Type>("syn_ip_id", |opening| Some(opening.ip_id));
    columns.opening::<UInt8Type>("window_scale", |opening| opening.window_scale);
    columns.opening::<UInt8Type>("syn_ttl", |opening| Some(opening.ttl));
    columns.nullable::<UInt8Type>("ttl_min", |half| (half.packets > 0).then_some(half.ttl_min));
    columns.nullable::<UInt8Type>("ttl_max", |half| (half.packets > 0).then_some(half.ttl_max));
    columns.nullable::<UInt8Type>("packet_types", |half| Some(half.packet_types));
    columns.flag("sack_permitted", |half| half.opening.as_ref().is_some_and(|opening| opening.sack_permitted));
}

/// A time, unless it was never set.
pub fn known(time_ns: i64) -> Option<i64> {
    (time_ns != NEVER).then_some(time_ns)
}

fn times(columns: &mut HalfColumns<'_>) {
    columns.nullable::<Int64Type>("first_ns", |half| known(half.first_ns));
    columns.nullable::<Int64Type>("last_ns", |half| known(half.last_ns));
    columns.nullable::<Int64Type>("first_data_ns", |half| known(half.first_data_ns));
    columns.nullable::<Int64Type>("last_data_ns", |half| known(half.last_data_ns));
    columns.nullable::<UInt64Type>("payload_digest", |half| Some(half.payload_digest).filter(|&digest| digest != 0));
}
