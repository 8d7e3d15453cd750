//! The point table: where frames were captured.

use arrow_array::RecordBatch;
use arrow_array::types::{Int64Type, UInt16Type, UInt32Type, UInt64Type};

use super::column::Columns;

/// One observation point: an interface of a file, or of all files of a ring.
#[derive(Debug, Clone)]
pub struct Point {
    pub ring: u32,
    /// Index of the interface in the file where it was first seen.
    pub interface: u32,
    pub name: Option<String>,
    pub description: Option<String>,
    pub link_type: u16,
    pub frames: u64,
    pub packets: u64,
    pub truncated: u64,
    /// The first frame that the snap length cut.
    pub first_truncated: Option<Truncated>,
    pub first_ns: i64,
    pub last_ns: i64,
    /// Until when it was captured: the last frame, or the end that the file states.
    pub until_ns: i64,
    /// Frames lost, as its files say.
    pub dropped: u64,
    /// How far its clock was set back at most while it captured.
    pub set_back_ns: u64,
}

/// A frame that the snap length cut.
#[derive(Debug, Clone, Copy)]
pub struct Truncated {
    pub capture: u32,
    pub frame: u64,
    pub time_ns: i64,
    /// Bytes that were kept of it.
    pub captured: u32,
}

/// The table of these points; a row's position is its number.
pub fn table(points: &[Point]) -> RecordBatch {
    let rows: Vec<(u32, &Point)> = (0u32..).zip(points).collect();
    let mut columns = Columns::new(rows.len());
    columns.plain::<UInt32Type>("point", |row: &(u32, &Point)| row.0);
    columns.plain::<UInt32Type>("ring", |row| row.1.ring);
    columns.plain::<UInt32Type>("interface", |row| row.1.interface);
    columns.text("name", |row| row.1.name.as_deref());
    columns.text("description", |row| row.1.description.as_deref());
    columns.plain::<UInt16Type>("link_type", |row| row.1.link_type);
    columns.plain::<UInt64Type>("frames", |row| row.1.frames);
    columns.plain::<UInt64Type>("packets", |row| row.1.packets);
    columns.plain::<UInt64Type>("truncated", |row| row.1.truncated);
    columns.nullable::<UInt32Type>("truncated_capture", |row| row.1.first_truncated.map(|cut| cut.capture));
    columns.nullable::<UInt64Type>("truncated_frame", |row| row.1.first_truncated.map(|cut| cut.frame));
    columns.nullable::<Int64Type>("truncated_ns", |row| row.1.first_truncated.map(|cut| cut.time_ns));
    columns.nullable::<UInt32Type>("truncated_length", |row| row.1.first_truncated.map(|cut| cut.captured));
    columns.plain::<Int64Type>("first_ns", |row| row.1.first_ns);
    columns.plain::<Int64Type>("last_ns", |row| row.1.last_ns);
    columns.plain::<Int64Type>("until_ns", |row| row.1.until_ns.max(row.1.last_ns));
    columns.plain::<UInt64Type>("dropped", |row| row.1.dropped);
    columns.plain::<UInt64Type>("set_back_ns", |row| row.1.set_back_ns);
    columns.table(&rows)
}
