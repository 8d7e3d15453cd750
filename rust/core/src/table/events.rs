//! The event table: the packets a rule may cite.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch, UInt32Array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::Field;

use super::column::{batch, ready};
use crate::flow::events::{Events, IcmpError, Sparse};

/// The table of these events; the columns are taken over without a copy.
pub fn table(mut events: Events) -> RecordBatch {
    let total = events.len();
    let zeros = Buffer::from(vec![0u64; total]);
    let sparse = |name: &str, sparse: Sparse| {
        let values = if sparse.values.is_empty() {
            ScalarBuffer::new(zeros.clone(), 0, total)
        } else {
            let mut values = sparse.values;
            values.resize(total, 0);
            values.into()
        };
        (Field::new(name, UInt32Type::DATA_TYPE, false), Arc::new(UInt32Array::new(values, None)) as ArrayRef)
    };
    let errors = std::mem::take(&mut events.errors);
    let columns = [
        ready::<UInt64Type>("flow", events.flow),
        ready::<UInt8Type>("kind", events.kind),
        ready::<UInt8Type>("half", events.half),
        sparse("capture", events.capture),
        ready::<UInt64Type>("frame", events.frame),
        ready::<UInt64Type>("offset", events.offset),
        ready::<Int64Type>("time_ns", events.time_ns),
        ready::<UInt32Type>("seq", events.seq),
        ready::<UInt32Type>("ack", events.ack),
        ready::<UInt32Type>("length", events.length),
        ready::<UInt8Type>("flags", events.flags),
        ready::<UInt16Type>("window", events.window),
        ready::<UInt8Type>("ttl", events.ttl),
        ready::<UInt16Type>("ip_id", events.ip_id),
        ready::<UInt32Type>("tsval", events.tsval),
        ready::<UInt8Type>("packet_type", events.packet_type),
        sparse("interface", events.interface),
        ready::<UInt64Type>("digest", events.digest),
        of_errors::<UInt32Type>("peer", &errors, total, &zeros, |error| error.peer),
        of_errors::<UInt16Type>("icmp", &errors, total, &zeros, |error| error.icmp),
    ];
    let (fields, arrays) = columns.into_iter().unzip();
    batch(fields, arrays)
}

/// A column that only ICMP errors have.
fn of_errors<T: ArrowPrimitiveType>(
    name: &str,
    errors: &[(usize, IcmpError)],
    total: usize,
    zeros: &Buffer,
    read: impl Fn(&IcmpError) -> T::Native,
) -> (Field, ArrayRef) {
    let array = if errors.is_empty() {
        let nulls = NullBuffer::new(BooleanBuffer::new(zeros.clone(), 0, total));
        PrimitiveArray::<T>::new(ScalarBuffer::new(zeros.clone(), 0, total), Some(nulls))
    } else {
        let mut values = vec![None; total];
        errors.iter().for_each(|(row, error)| values[*row] = Some(read(error)));
        PrimitiveArray::<T>::from_iter(values)
    };
    (Field::new(name, T::DATA_TYPE, true), Arc::new(array))
}
