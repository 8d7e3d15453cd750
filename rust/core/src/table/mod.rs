//! Flows, events, messages and issues as Arrow columns. The columns are described in `flowscope.tables`.

pub mod addresses;
pub mod column;
pub mod events;
pub mod flows;
mod halves;
pub mod issues;
pub mod messages;
pub mod points;
mod some_column;
mod text_column;

use arrow_array::RecordBatch;

/// What a drain hands over.
#[derive(Debug)]
pub struct Tables {
    pub flows: RecordBatch,
    pub events: RecordBatch,
    pub messages: RecordBatch,
    pub issues: RecordBatch,
    pub addresses: RecordBatch,
    pub points: RecordBatch,
}
