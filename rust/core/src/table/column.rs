//! Columns filled from rows: one line of code per column, one pass over memory per block of rows.
//!
//! A column that is zero, or null, in every row takes no memory: all such columns of a table share one buffer.
//! Most counters of trouble are like that, and untouched pages are the cheapest ones.

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, ArrowNativeTypeOp, BooleanArray, PrimitiveArray, RecordBatch};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema};

use super::text_column::{Named, NoText, Text};

/// Rows handled together, so that they are still in the cache when the last column reads them.
const BLOCK: usize = 64;

/// Which rows of the table a column is asked to read.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub at: usize,
    /// Rows of the whole table.
    pub total: usize,
}

/// A column that takes its values from rows of type `R`.
pub(super) trait Column<R> {
    fn fill(&mut self, rows: &[R], place: Place);
    /// `zeros` has 16 bytes for each of `total` rows.
    fn finish(self: Box<Self>, total: usize, zeros: &Buffer) -> (Field, ArrayRef);
}

/// One bit per row; empty until the first is set.
#[derive(Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    fn fill(&mut self, rows: usize, place: Place, mut bit: impl FnMut(usize) -> bool) {
        if self.0.is_empty() {
            self.0 = vec![0; place.total.div_ceil(64)];
        }
        let mut row = 0;
        while row < rows {
            let shift = (place.at + row) % 64;
            let upto = rows.min(row + 64 - shift);
            let word = (row..upto).fold(0, |word, at| word | u64::from(bit(at)) << (at - row));
            self.0[(place.at + row) / 64] |= word << shift;
            row = upto;
        }
    }

    /// Sets the bit of one row of `total`.
    #[inline]
    pub(super) fn set(&mut self, row: usize, total: usize) {
        if self.0.is_empty() {
            self.0 = vec![0; total.div_ceil(64)];
        }
        self.0[row / 64] |= 1 << (row % 64);
    }

    pub(super) fn finish(self, total: usize, zeros: &Buffer) -> BooleanBuffer {
        let bits = if self.0.is_empty() { zeros.clone() } else { self.0.into() };
        BooleanBuffer::new(bits, 0, total)
    }
}

/// The validity of a column; None when every row has a value.
pub(super) fn nulls(valid: Bits, total: usize, zeros: &Buffer) -> Option<NullBuffer> {
    Some(NullBuffer::new(valid.finish(total, zeros))).filter(|nulls| nulls.null_count() > 0)
}

/// The values of a column; all of them zero when there are none.
pub(super) fn numbers<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    total: usize,
    zeros: &Buffer,
) -> ScalarBuffer<T::Native> {
    if values.is_empty() { ScalarBuffer::new(zeros.clone(), 0, total) } else { values.into() }
}

struct Plain<T: ArrowPrimitiveType, F> {
    name: String,
    values: Vec<T::Native>,
    read: F,
}

impl<R, T: ArrowPrimitiveType, F: Fn(&R) -> T::Native> Column<R> for Plain<T, F> {
    fn fill(&mut self, rows: &[R], place: Place) {
        if self.values.is_empty() {
            if rows.iter().all(|row| (self.read)(row).is_zero()) {
                return;
            }
            self.values = vec![T::Native::default(); place.total];
        }
        for (value, row) in self.values[place.at..].iter_mut().zip(rows) {
            *value = (self.read)(row);
        }
    }

    fn finish(self: Box<Self>, total: usize, zeros: &Buffer) -> (Field, ArrayRef) {
        let array = PrimitiveArray::<T>::new(numbers::<T>(self.values, total, zeros), None);
        (Field::new(self.name, T::DATA_TYPE, false), Arc::new(array))
    }
}

struct Nullable<T: ArrowPrimitiveType, F> {
    name: String,
    values: Vec<T::Native>,
    valid: Bits,
    read: F,
}

impl<R, T: ArrowPrimitiveType, F: Fn(&R) -> Option<T::Native>> Column<R> for Nullable<T, F> {
    fn fill(&mut self, rows: &[R], place: Place) {
        if self.values.is_empty() {
            if rows.iter().all(|row| (self.read)(row).is_none()) {
                return;
            }
            self.values = vec![T::Native::default(); place.total];
        }
        let values = &mut self.values[place.at..place.at + rows.len()];
        self.valid.fill(rows.len(), place, |at| {
            let value = (self.read)(&rows[at]);
            values[at] = value.unwrap_or_default();
            value.is_some()
        });
    }

    fn finish(self: Box<Self>, total: usize, zeros: &Buffer) -> (Field, ArrayRef) {
        let valid = nulls(self.valid, total, zeros);
        let array = PrimitiveArray::<T>::new(numbers::<T>(self.values, total, zeros), valid);
        (Field::new(self.name, T::DATA_TYPE, true), Arc::new(array))
    }
}

struct Flag<F> {
    name: String,
    values: Bits,
    read: F,
}

impl<R, F: Fn(&R) -> bool> Column<R> for Flag<F> {
    fn fill(&mut self, rows: &[R], place: Place) {
        self.values.fill(rows.len(), place, |at| (self.read)(&rows[at]));
    }

    fn finish(self: Box<Self>, total: usize, zeros: &Buffer) -> (Field, ArrayRef) {
        let array = BooleanArray::new(self.values.finish(total, zeros), None);
        (Field::new(self.name, DataType::Boolean, false), Arc::new(array))
    }
}

/// A column whose values are there already.
pub fn ready<T: ArrowPrimitiveType>(name: &str, values: Vec<T::Native>) -> (Field, ArrayRef) {
    (Field::new(name, T::DATA_TYPE, false), Arc::new(PrimitiveArray::<T>::new(values.into(), None)))
}

/// The columns of one table, in order.
pub struct Columns<'a, R> {
    columns: Vec<Box<dyn Column<R> + 'a>>,
    place: Place,
}

impl<'a, R: 'a> Columns<'a, R> {
    /// The columns of a table that will have so many rows.
    pub fn new(total: usize) -> Self {
        Columns { columns: Vec::new(), place: Place { at: 0, total } }
    }

    /// A number in every row.
    pub fn plain<T: ArrowPrimitiveType>(&mut self, name: impl Into<String>, read: impl Fn(&R) -> T::Native + 'a) {
        self.columns.push(Box::new(Plain::<T, _> { name: name.into(), values: Vec::new(), read }));
    }

    /// A number, or null.
    pub fn nullable<T: ArrowPrimitiveType>(
        &mut self,
        name: impl Into<String>,
        read: impl Fn(&R) -> Option<T::Native> + 'a,
    ) {
        let column = Nullable::<T, _> { name: name.into(), values: Vec::new(), valid: Bits::default(), read };
        self.columns.push(Box::new(column));
    }

    pub fn flag(&mut self, name: impl Into<String>, read: impl Fn(&R) -> bool + 'a) {
        self.columns.push(Box::new(Flag { name: name.into(), values: Bits::default(), read }));
    }

    /// A name of at most twelve letters.
    pub fn named(&mut self, name: impl Into<String>, read: impl Fn(&R) -> &'static str + 'a) {
        self.columns.push(Box::new(Named::new(name.into(), read)));
    }

    /// Null in every row.
    pub fn no_text(&mut self, name: impl Into<String>) {
        self.columns.push(Box::new(NoText::new(name.into())));
    }

    /// Text, or null; borrowed from the row.
    pub fn text(&mut self, name: impl Into<String>, read: impl for<'r> Fn(&'r R) -> Option<&'r str> + 'a) {
        let append = move |row: &R, values: &mut StringViewBuilder| {
            let text = read(row);
            values.append_option(text);
            text.is_some()
        };
        self.columns.push(Box::new(Text::new(name.into(), append)));
    }

    /// Text that has to be made, or null.
    pub fn made_text(&mut self, name: impl Into<String>, read: impl Fn(&R) -> Option<String> + 'a) {
        let append = move |row: &R, values: &mut StringViewBuilder| {
            let text = read(row);
            values.append_option(text.as_deref());
            text.is_some()
        };
        self.columns.push(Box::new(Text::new(name.into(), append)));
    }

    /// Reads the next rows.
    pub fn fill(&mut self, rows: &[R]) {
        for block in rows.chunks(BLOCK) {
            for column in &mut self.columns {
                column.fill(block, self.place);
            }
            self.place.at += block.len();
        }
    }

    /// The columns, once all rows were read. `zeros` has 16 bytes for each row.
    pub fn finish(self, zeros: &Buffer) -> impl Iterator<Item = (Field, ArrayRef)> {
        self.columns.into_iter().map(move |column| column.finish(self.place.total, zeros))
    }

    /// Reads all rows and makes the table.
    pub fn table(mut self, rows: &[R]) -> RecordBatch {
        self.fill(rows);
        let zeros = zeros(self.place.total);
        let (fields, arrays) = self.finish(&zeros).unzip();
        batch(fields, arrays)
    }
}

/// What all columns of a table of so many rows share that are zero, or null, throughout.
pub fn zeros(total: usize) -> Buffer {
    Buffer::from(vec![0u128; total])
}

/// A table of finished columns. All have the same length by construction; should they not, the table is empty.
pub fn batch(fields: Vec<Field>, arrays: Vec<ArrayRef>) -> RecordBatch {
    let schema = Arc::new(Schema::new(fields));
    RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap_or_else(|_| RecordBatch::new_empty(schema))
}
