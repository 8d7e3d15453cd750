//! Columns of what only some rows of a table have: a responder's half, a SYN, trouble.
//!
//! The others are zero, or null, and cost nothing: neither a look nor, in the end, a touched page.

use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, ArrowNativeTypeOp, BooleanArray, PrimitiveArray};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::{DataType, Field};

use super::column::{Bits, nulls, numbers};

/// Which rows have what is read, in ascending order, of a table of `total`.
#[derive(Clone, Copy)]
struct At<'r> {
    rows: &'r [u32],
    total: usize,
}

/// What the columns of one kind have in common once all rows were read.
struct Whole<'w> {
    total: usize,
    zeros: &'w Buffer,
    /// The rows that had what was read; None when all did.
    present: Option<NullBuffer>,
}

trait SomeColumn<R> {
    fn fill(&mut self, found: &[&R], at: At<'_>);
    fn finish(self: Box<Self>, whole: &Whole<'_>) -> (Field, ArrayRef);
}

/// A number where there is something to read, else 0 or null.
struct Plain<T: ArrowPrimitiveType, F> {
    name: String,
    values: Vec<T::Native>,
    null_elsewhere: bool,
    read: F,
}

impl<R, T: ArrowPrimitiveType, F: Fn(&R) -> T::Native> SomeColumn<R> for Plain<T, F> {
    fn fill(&mut self, found: &[&R], at: At<'_>) {
        if self.values.is_empty() {
            if found.iter().all(|one| (self.read)(one).is_zero()) {
                return;
            }
            self.values = vec![T::Native::default(); at.total];
        }
        for (one, &row) in found.iter().zip(at.rows) {
            self.values[row as usize] = (self.read)(one);
        }
    }

    fn finish(self: Box<Self>, whole: &Whole<'_>) -> (Field, ArrayRef) {
        let valid = whole.present.clone().filter(|_| self.null_elsewhere);
        let array = PrimitiveArray::<T>::new(numbers::<T>(self.values, whole.total, whole.zeros), valid);
        (Field::new(self.name, T::DATA_TYPE, self.null_elsewhere), Arc::new(array))
    }
}

/// A number, or null even where there is something to read.
struct Nullable<T: ArrowPrimitiveType, F> {
    name: String,
    values: Vec<T::Native>,
    valid: Bits,
    read: F,
}

impl<R, T: ArrowPrimitiveType, F: Fn(&R) -> Option<T::Native>> SomeColumn<R> for Nullable<T, F> {
    fn fill(&mut self, found: &[&R], at: At<'_>) {
        if self.values.is_empty() {
            if found.iter().all(|one| (self.read)(one).is_none()) {
                return;
            }
            self.values = vec![T::Native::default(); at.total];
        }
        for (one, &row) in found.iter().zip(at.rows) {
            if let Some(value) = (self.read)(one) {
                self.values[row as usize] = value;
                self.valid.set(row as usize, at.total);
            }
        }
    }

    fn finish(self: Box<Self>, whole: &Whole<'_>) -> (Field, ArrayRef) {
        let valid = nulls(self.valid, whole.total, whole.zeros);
        let array = PrimitiveArray::<T>::new(numbers::<T>(self.values, whole.total, whole.zeros), valid);
        (Field::new(self.name, T::DATA_TYPE, true), Arc::new(array))
    }
}

struct Flag<F> {
    name: String,
    values: Bits,
    read: F,
}

impl<R, F: Fn(&R) -> bool> SomeColumn<R> for Flag<F> {
    fn fill(&mut self, found: &[&R], at: At<'_>) {
        for (_, &row) in found.iter().zip(at.rows).filter(|(one, _)| (self.read)(one)) {
            self.values.set(row as usize, at.total);
        }
    }

    fn finish(self: Box<Self>, whole: &Whole<'_>) -> (Field, ArrayRef) {
        let array = BooleanArray::new(self.values.finish(whole.total, whole.zeros), None);
        (Field::new(self.name, DataType::Boolean, false), Arc::new(array))
    }
}

/// The columns of one thing that some rows have, in order, named after whose it is.
pub struct SomeColumns<R> {
    whose: &'static str,
    total: usize,
    columns: Vec<Box<dyn SomeColumn<R>>>,
    present: Bits,
}

impl<R: 'static> SomeColumns<R> {
    /// Columns named `<whose>_<column>` of a table of `total` rows.
    pub fn new(whose: &'static str, total: usize) -> Self {
        SomeColumns { whose, total, columns: Vec::new(), present: Bits::default() }
    }

    fn name(&self, column: &str) -> String {
        format!("{}_{column}", self.whose)
    }

    fn add<T: ArrowPrimitiveType>(
        &mut self,
        column: &str,
        null_elsewhere: bool,
        read: impl Fn(&R) -> T::Native + 'static,
    ) {
        let (name, values) = (self.name(column), Vec::new());
        self.columns.push(Box::new(Plain::<T, _> { name, values, null_elsewhere, read }));
    }

    /// A number; 0 in rows without.
    pub fn plain<T: ArrowPrimitiveType>(&mut self, column: &str, read: impl Fn(&R) -> T::Native + 'static) {
        self.add::<T>(column, false, read);
    }

    /// A number; null in rows without.
    pub fn given<T: ArrowPrimitiveType>(&mut self, column: &str, read: impl Fn(&R) -> T::Native + 'static) {
        self.add::<T>(column, true, read);
    }

    /// A number, or null.
    pub fn nullable<T: ArrowPrimitiveType>(&mut self, column: &str, read: impl Fn(&R) -> Option<T::Native> + 'static) {
        let (name, values) = (self.name(column), Vec::new());
        self.columns.push(Box::new(Nullable::<T, _> { name, values, valid: Bits::default(), read }));
    }

    /// False in rows without.
    pub fn flag(&mut self, column: &str, read: impl Fn(&R) -> bool + 'static) {
        let name = self.name(column);
        self.columns.push(Box::new(Flag { name, values: Bits::default(), read }));
    }

    /// Reads what the rows at these places have.
    pub fn fill(&mut self, found: &[&R], rows: &[u32]) {
        if found.is_empty() {
            return;
        }
        let at = At { rows, total: self.total };
        rows.iter().for_each(|&row| self.present.set(row as usize, self.total));
        for column in &mut self.columns {
            column.fill(found, at);
        }
    }

    /// The columns, once all rows were read. `zeros` has 16 bytes for each row of the table.
    pub fn finish(self, zeros: &Buffer) -> impl Iterator<Item = (Field, ArrayRef)> {
        let whole = Whole { total: self.total, zeros, present: nulls(self.present, self.total, zeros) };
        self.columns.into_iter().map(move |column| column.finish(&whole))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::UInt16Type;

    use super::*;

    #[test]
    fn rows_without_are_zero_or_null_and_all_zero_columns_share_memory() {
        let mut columns = SomeColumns::<(u16, Option<u16>)>::new("fwd", 200);
        columns.plain::<UInt16Type>("plain", |one| one.0);
        columns.given::<UInt16Type>("given", |one| one.0);
        columns.nullable::<UInt16Type>("nullable", |one| one.1);
        columns.plain::<UInt16Type>("nothing", |_| 0);
        columns.flag("flag", |one| one.1.is_some());
        columns.fill(&[&(7, None), &(0, Some(9))], &[3, 64]);
        columns.fill(&[&(8, Some(0))], &[199]);
        let zeros = Buffer::from(vec![0u128; 200]);
        let (fields, arrays): (Vec<_>, Vec<_>) = columns.finish(&zeros).unzip();
        let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["fwd_plain", "fwd_given", "fwd_nullable", "fwd_nothing", "fwd_flag"]);
        let rows = |at: usize| -> Vec<(usize, u16)> {
            let array = arrays[at].as_primitive::<UInt16Type>();
            array.iter().enumerate().filter_map(|(row, value)| value.map(|value| (row, value))).collect()
        };
        let filled: Vec<_> = rows(0).into_iter().filter(|row| row.1 != 0).collect();
        assert_eq!((filled, rows(0).len()), (vec![(3, 7), (199, 8)], 200));
        assert_eq!(rows(1), [(3, 7), (64, 0), (199, 8)]);
        assert_eq!(rows(2), [(64, 9), (199, 0)]);
        assert_eq!(arrays[3].to_data().buffers()[0].as_ptr(), zeros.as_ptr());
        assert_eq!(arrays[4].as_boolean().true_count(), 2);
    }
}
