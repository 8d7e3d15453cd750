//! The message table: one row per application message.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::{Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::Field;

use super::column::{Columns, batch};
use crate::flow::tracker::FlowMessage;

/// The table of these messages.
pub fn table(rows: Vec<FlowMessage>) -> RecordBatch {
    let mut columns = Columns::new(rows.len());
    columns.plain::<UInt64Type>("flow", |row: &FlowMessage| row.flow);
    columns.plain::<UInt8Type>("half", |row| row.half);
    columns.text("kind", |row| Some(row.message.kind));
    columns.plain::<UInt32Type>("capture", |row| row.message.first.capture);
    columns.plain::<UInt64Type>("first_frame", |row| row.message.first.frame);
    columns.plain::<Int64Type>("first_ns", |row| row.message.first.time_ns);
    columns.plain::<UInt64Type>("last_frame", |row| row.message.last.frame);
    columns.plain::<Int64Type>("last_ns", |row| row.message.last.time_ns);
    columns.text("method", |row| row.message.method.as_deref());
    columns.text("target", |row| row.message.target.as_deref());
    columns.nullable::<UInt16Type>("status", |row| row.message.status);
    columns.plain::<UInt64Type>("body_bytes", |row| row.message.body_bytes);
    columns.plain::<UInt64Type>("wire_bytes", |row| row.message.wire_bytes);
    columns.text("src", |row| row.message.src.as_deref());
    columns.text("dst", |row| row.message.dst.as_deref());
    columns.text("sni", |row| row.message.sni.as_deref());
    columns.text("token", |row| row.message.token.as_deref());
    columns.flag("complete", |row| row.message.complete);
    let plain = columns.table(&rows);
    let (field, headers) = headers(&rows);
    let mut fields: Vec<Field> = plain.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut arrays = plain.columns().to_vec();
    fields.push(field);
    arrays.push(headers);
    batch(fields, arrays)
}

fn headers(rows: &[FlowMessage]) -> (Field, ArrayRef) {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        for header in &row.message.headers {
            lists.values().append_value(header);
        }
        lists.append(true);
    }
    let array = lists.finish();
    (Field::new("headers", array.data_type().clone(), false), Arc::new(array))
}
