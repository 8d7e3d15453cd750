//! The columns of the flow table that each half has.

use arrow_array::ArrayRef;
use arrow_array::types::{Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_buffer::Buffer;
use arrow_schema::Field;

use super::some_column::SomeColumns;
use crate::decode::packet::CUT_LAYOUT;
use crate::flow::half::{Half, NEVER, Opening, Trouble};
use crate::flow::record::Flow;

/// What was found in a few rows of the table, and in which of them.
struct Found<'r, R> {
    found: Vec<&'r R>,
    rows: Vec<u32>,
}

impl<'r, R> Found<'r, R> {
    fn within(rows: usize) -> Self {
        Found { found: Vec::with_capacity(rows), rows: Vec::with_capacity(rows) }
    }

    #[inline]
    fn push(&mut self, row: u32, one: Option<&'r R>) {
        if let Some(one) = one {
            self.found.push(one);
            self.rows.push(row);
        }
    }

    fn write(&self, columns: &mut SomeColumns<R>)
    where
        R: 'static,
    {
        columns.fill(&self.found, &self.rows);
    }
}

/// The columns of one half.
pub struct HalfColumns {
    half: usize,
    halves: SomeColumns<Half>,
    openings: SomeColumns<Opening>,
    troubles: SomeColumns<Trouble>,
}

impl HalfColumns {
    /// The columns of a half (0 the initiator's), named `<name>_<column>`, of a table of `total` rows.
    pub fn new(half: usize, name: &'static str, total: usize) -> Self {
        HalfColumns {
            half,
            halves: halves(name, total),
            openings: openings(name, total),
            troubles: troubles(name, total),
        }
    }

    /// Reads the halves of these flows, the first of which is row `at`.
    pub fn fill(&mut self, block: &[Flow], at: usize) {
        let (mut halves, mut openings, mut troubles) =
            (Found::within(block.len()), Found::within(block.len()), Found::within(0));
        for (row, flow) in (at as u32..).zip(block) {
            let Some(half) = flow.known_half(self.half) else { continue };
            halves.push(row, Some(half));
            openings.push(row, half.opening.as_ref());
            troubles.push(row, half.trouble());
        }
        halves.write(&mut self.halves);
        openings.write(&mut self.openings);
        troubles.write(&mut self.troubles);
    }

    /// The columns, once all rows were read.
    pub fn finish(self, zeros: &Buffer) -> impl Iterator<Item = (Field, ArrayRef)> {
        self.halves.finish(zeros).chain(self.openings.finish(zeros)).chain(self.troubles.finish(zeros))
    }
}

fn halves(name: &'static str, total: usize) -> SomeColumns<Half> {
    let mut columns = SomeColumns::<Half>::new(name, total);
    columns.plain::<UInt64Type>("packets", |half| half.packets);
    columns.plain::<UInt64Type>("bytes", |half| half.bytes);
    columns.plain::<UInt64Type>("payload_bytes", |half| half.payload_bytes);
    columns.plain::<UInt64Type>("covered_bytes", Half::covered_bytes);
    columns.plain::<UInt32Type>("truncated", |half| half.truncated);
    columns.plain::<UInt32Type>("syns", |half| half.syns);
    columns.plain::<UInt32Type>("resets", |half| half.resets);
    columns.plain::<UInt32Type>("fins", |half| half.fins);
    columns.plain::<UInt32Type>("max_segment", |half| half.max_segment);
    columns.plain::<UInt32Type>("max_acked_segment", |half| half.max_acked_segment);
    columns.nullable::<UInt32Type>("base_seq", |half| half.sequenced.then_some(half.low_seq));
    columns.nullable::<UInt32Type>("next_seq", |half| half.sequenced.then_some(half.next_seq));
    columns.nullable::<UInt32Type>("last_ack", |half| half.acked.then_some(half.highest_ack));
    columns.nullable::<UInt8Type>("ttl_min", |half| (half.packets > 0).then_some(half.ttl_min));
    columns.nullable::<UInt8Type>("ttl_max", |half| (half.packets > 0).then_some(half.ttl_max));
    columns.plain::<UInt8Type>("packet_types", |half| half.packet_types);
    columns.nullable::<Int64Type>("first_ns", |half| known(half.first_ns));
    columns.nullable::<Int64Type>("last_ns", |half| known(half.last_ns));
    columns.nullable::<Int64Type>("first_data_ns", |half| known(half.first_data_ns));
    columns.nullable::<Int64Type>("last_data_ns", |half| known(half.last_data_ns));
    columns.nullable::<UInt64Type>("payload_digest", |half| Some(half.payload_digest).filter(|&digest| digest != 0));
    columns
}

/// What SYN or SYN-ACK announced.
fn openings(name: &'static str, total: usize) -> SomeColumns<Opening> {
    let mut columns = SomeColumns::<Opening>::new(name, total);
    columns.given::<UInt32Type>("isn", |opening| opening.isn);
    columns.nullable::<UInt32Type>("syn_layout", |opening| Some(opening.layout).filter(|&layout| layout != CUT_LAYOUT));
    columns.nullable::<UInt32Type>("syn_tsval", |opening| opening.tsval);
    columns.nullable::<UInt16Type>("mss", |opening| opening.mss);
    columns.given::<UInt16Type>("syn_window", |opening| opening.window);
    columns.given::<UInt16Type>("syn_ip_id", |opening| opening.ip_id);
    columns.nullable::<UInt8Type>("window_scale", |opening| opening.window_scale);
    columns.given::<UInt8Type>("syn_ttl", |opening| opening.ttl);
    columns.flag("sack_permitted", |opening| opening.sack_permitted);
    columns
}

fn troubles(name: &'static str, total: usize) -> SomeColumns<Trouble> {
    let mut columns = SomeColumns::<Trouble>::new(name, total);
    columns.plain::<UInt64Type>("missing_bytes", |trouble| trouble.holes.bytes());
    columns.plain::<UInt32Type>("retransmissions", |trouble| trouble.retransmissions);
    columns.plain::<UInt32Type>("fast_retransmissions", |trouble| trouble.fast_retransmissions);
    columns.plain::<UInt32Type>("spurious_retransmissions", |trouble| trouble.spurious_retransmissions);
    columns.plain::<UInt32Type>("duplicates", |trouble| trouble.duplicates);
    columns.plain::<UInt32Type>("out_of_order", |trouble| trouble.out_of_order);
    columns.plain::<UInt32Type>("duplicate_acks", |trouble| trouble.duplicate_acks);
    columns.plain::<UInt32Type>("zero_windows", |trouble| trouble.zero_windows);
    columns.plain::<UInt32Type>("lost_segments", |trouble| trouble.lost_segments);
    columns.plain::<UInt32Type>("acked_unseen", |trouble| trouble.acked_unseen);
    columns.plain::<UInt32Type>("gaps", |trouble| trouble.holes.count());
    columns
}

/// A time, unless it was never set.
pub fn known(time_ns: i64) -> Option<i64> {
    (time_ns != NEVER).then_some(time_ns)
}
