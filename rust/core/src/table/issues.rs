//! The issue table: what could not be read, where and why.

use arrow_array::RecordBatch;
use arrow_array::types::{UInt32Type, UInt64Type};

use super::column::Columns;
use crate::issue::Issue;

/// The table of these issues.
pub fn table(issues: &[Issue]) -> RecordBatch {
    let mut columns = Columns::new(issues.len());
    columns.plain::<UInt32Type>("capture", |issue: &Issue| issue.capture);
    columns.text("kind", |issue| Some(issue.kind));
    columns.plain::<UInt64Type>("frame", |issue| issue.frame);
    columns.plain::<UInt64Type>("offset", |issue| issue.offset);
    columns.text("detail", |issue| Some(issue.detail.as_str()));
    columns.plain::<UInt64Type>("count", |issue| issue.count);
    columns.table(issues)
}
