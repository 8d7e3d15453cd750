//! The event table: the packets a rule may cite.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch};
use arrow_schema::Field;

use super::column::batch;
use crate::flow::events::{Events, Kind, NO_PEER};

/// The table of these events; the columns are taken over without a copy.
pub fn table(events: Events) -> RecordBatch {
    let is_error = |kind: &u8| *kind == Kind::IcmpError as u8;
    let icmp: Vec<Option<u16>> =
        events.kind.iter().zip(&events.icmp).map(|(kind, &icmp)| is_error(kind).then_some(icmp)).collect();
    let peer: Vec<Option<u32>> = events.peer.iter().map(|&peer| (peer != NO_PEER).then_some(peer)).collect();
    let columns = [
        column::<UInt64Type>("flow", events.flow),
        column::<UInt8Type>("kind", events.kind),
        column::<UInt8Type>("half", events.half),
        column::<UInt32Type>("capture", events.capture),
        column::<UInt64Type>("frame", events.frame),
        column::<UInt64Type>("offset", events.offset),
        column::<Int64Type>("time_ns", events.time_ns),
        column::<UInt32Type>("seq", events.seq),
        column::<UInt32Type>("ack", events.ack),
        column::<UInt32Type>("length", events.length),
        column::<UInt8Type>("flags", events.flags),
        column::<UInt16Type>("window", events.window),
        column::<UInt8Type>("ttl", events.ttl),
        column::<UInt16Type>("ip_id", events.ip_id),
        column::<UInt32Type>("tsval", events.tsval),
        column::<UInt8Type>("packet_type", events.packet_type),
        column::<UInt32Type>("interface", events.interface),
        column::<UInt64Type>("digest", events.digest),
        optional::<UInt32Type>("peer", peer),
        optional::<UInt16Type>("icmp", icmp),
    ];
    let (fields, arrays) = columns.into_iter().unzip();
    batch(fields, arrays)
}

fn column<T: ArrowPrimitiveType>(name: &str, values: Vec<T::Native>) -> (Field, ArrayRef) {
    (Field::new(name, T::DATA_TYPE, false), Arc::new(PrimitiveArray::<T>::new(values.into(), None)))
}

fn optional<T: ArrowPrimitiveType>(name: &str, values: Vec<Option<T::Native>>) -> (Field, ArrayRef) {
    (Field::new(name, T::DATA_TYPE, true), Arc::new(PrimitiveArray::<T>::from_iter(values)))
}
