//! Columns filled from rows: one line of code per column, one pass over memory per block of rows.

use std::sync::Arc;

use arrow_array::builder::{PrimitiveBuilder, StringViewBuilder};
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema};

/// Rows handled together, so that they are still in the cache when the last column reads them.
const BLOCK: usize = 512;

/// A column that takes its values from rows of type `R`.
pub trait Column<R> {
    /// Makes room for so many rows.
    fn reserve(&mut self, rows: usize);
    fn fill(&mut self, rows: &[R]);
    fn finish(self: Box<Self>) -> (Field, ArrayRef);
}

struct Plain<T: ArrowPrimitiveType, F> {
    name: String,
    values: Vec<T::Native>,
    read: F,
}

impl<R, T: ArrowPrimitiveType, F: Fn(&R) -> T::Native> Column<R> for Plain<T, F> {
    fn reserve(&mut self, rows: usize) {
        self.values.reserve_exact(rows);
    }

    fn fill(&mut self, rows: &[R]) {
        self.values.extend(rows.iter().map(&self.read));
    }

    fn finish(self: Box<Self>) -> (Field, ArrayRef) {
        let array = PrimitiveArray::<T>::new(self.values.into(), None);
        (Field::new(self.name, T::DATA_TYPE, false), Arc::new(array))
    }
}

struct Nullable<T: ArrowPrimitiveType, F> {
    name: String,
    values: PrimitiveBuilder<T>,
    read: F,
}

impl<R, T: ArrowPrimitiveType, F: Fn(&R) -> Option<T::Native>> Column<R> for Nullable<T, F> {
    fn reserve(&mut self, rows: usize) {
        self.values = PrimitiveBuilder::with_capacity(rows);
    }

    fn fill(&mut self, rows: &[R]) {
        for row in rows {
            self.values.append_option((self.read)(row));
        }
    }

    fn finish(mut self: Box<Self>) -> (Field, ArrayRef) {
        (Field::new(self.name, T::DATA_TYPE, true), Arc::new(self.values.finish()))
    }
}

struct Flag<F> {
    name: String,
    values: Vec<bool>,
    read: F,
}

impl<R, F: Fn(&R) -> bool> Column<R> for Flag<F> {
    fn reserve(&mut self, rows: usize) {
        self.values.reserve_exact(rows);
    }

    fn fill(&mut self, rows: &[R]) {
        self.values.extend(rows.iter().map(&self.read));
    }

    fn finish(self: Box<Self>) -> (Field, ArrayRef) {
        (Field::new(self.name, DataType::Boolean, false), Arc::new(BooleanArray::from(self.values)))
    }
}

struct Text<F> {
    name: String,
    values: StringViewBuilder,
    append: F,
}

impl<R, F: Fn(&R, &mut StringViewBuilder)> Column<R> for Text<F> {
    fn reserve(&mut self, rows: usize) {
        self.values = StringViewBuilder::with_capacity(rows);
    }

    fn fill(&mut self, rows: &[R]) {
        for row in rows {
            (self.append)(row, &mut self.values);
        }
    }

    fn finish(mut self: Box<Self>) -> (Field, ArrayRef) {
        (Field::new(self.name, DataType::Utf8View, true), Arc::new(self.values.finish()))
    }
}

/// The columns of one table, in order.
pub struct Columns<'a, R> {
    columns: Vec<Box<dyn Column<R> + 'a>>,
}

impl<'a, R: 'a> Default for Columns<'a, R> {
    fn default() -> Self {
        Columns { columns: Vec::new() }
    }
}

impl<'a, R: 'a> Columns<'a, R> {
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
        self.columns.push(Box::new(Nullable::<T, _> { name: name.into(), values: PrimitiveBuilder::new(), read }));
    }

    pub fn flag(&mut self, name: impl Into<String>, read: impl Fn(&R) -> bool + 'a) {
        self.columns.push(Box::new(Flag { name: name.into(), values: Vec::new(), read }));
    }

    /// Text, or null; borrowed from the row.
    pub fn text(&mut self, name: impl Into<String>, read: impl for<'r> Fn(&'r R) -> Option<&'r str> + 'a) {
        let append = move |row: &R, values: &mut StringViewBuilder| values.append_option(read(row));
        self.columns.push(Box::new(Text { name: name.into(), values: StringViewBuilder::new(), append }));
    }

    /// Text that has to be made, or null.
    pub fn made_text(&mut self, name: impl Into<String>, read: impl Fn(&R) -> Option<String> + 'a) {
        let append = move |row: &R, values: &mut StringViewBuilder| values.append_option(read(row));
        self.columns.push(Box::new(Text { name: name.into(), values: StringViewBuilder::new(), append }));
    }

    /// Reads all rows and makes the table.
    pub fn table(mut self, rows: &[R]) -> RecordBatch {
        for column in &mut self.columns {
            column.reserve(rows.len());
        }
        for block in rows.chunks(BLOCK) {
            for column in &mut self.columns {
                column.fill(block);
            }
        }
        let (fields, arrays) = self.columns.into_iter().map(|column| column.finish()).unzip();
        batch(fields, arrays)
    }
}

/// A table of finished columns. All have the same length by construction; should they not, the table is empty.
pub fn batch(fields: Vec<Field>, arrays: Vec<ArrayRef>) -> RecordBatch {
    let schema = Arc::new(Schema::new(fields));
    RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap_or_else(|_| RecordBatch::new_empty(schema))
}
