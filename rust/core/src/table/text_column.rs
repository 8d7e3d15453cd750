//! Columns of text, as Arrow's string views: up to twelve bytes stand in the view itself.

use std::sync::Arc;

use arrow_array::builder::{StringViewBuilder, make_view};
use arrow_array::{ArrayRef, StringViewArray};
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_schema::{DataType, Field};

use super::column::{Bits, Column, Place, nulls};

/// Text that is appended to a builder.
pub struct Text<F> {
    name: String,
    /// None until there is a text.
    values: Option<StringViewBuilder>,
    append: F,
}

impl<F> Text<F> {
    /// `append` adds the text of a row, or null; it returns false for null.
    pub fn new(name: String, append: F) -> Self {
        Text { name, values: None, append }
    }
}

impl<R, F: Fn(&R, &mut StringViewBuilder) -> bool> Column<R> for Text<F> {
    fn fill(&mut self, rows: &[R], place: Place) {
        if self.values.is_none() {
            let mut first = StringViewBuilder::new();
            if rows.iter().filter(|row| (self.append)(row, &mut first)).count() == 0 {
                return;
            }
        }
        let values = self.values.get_or_insert_with(|| {
            let mut values = StringViewBuilder::with_capacity(place.total);
            (0..place.at).for_each(|_| values.append_null());
            values
        });
        for row in rows {
            (self.append)(row, values);
        }
    }

    fn finish(self: Box<Self>, total: usize, zeros: &Buffer) -> (Field, ArrayRef) {
        let array = match self.values {
            Some(mut values) => values.finish(),
            None => no_text(total, zeros),
        };
        (Field::new(self.name, DataType::Utf8View, true), Arc::new(array))
    }
}

/// Names of a few letters, which a view holds in itself.
pub struct Named<F> {
    name: String,
    views: Vec<u128>,
    read: F,
}

impl<F> Named<F> {
    /// `read` gives a name of at most twelve letters.
    pub fn new(name: String, read: F) -> Self {
        Named { name, views: Vec::new(), read }
    }
}

impl<R, F: Fn(&R) -> &'static str> Column<R> for Named<F> {
    fn fill(&mut self, rows: &[R], place: Place) {
        if self.views.is_empty() {
            self.views = vec![0; place.total];
        }
        for (view, row) in self.views[place.at..].iter_mut().zip(rows) {
            *view = make_view((self.read)(row).as_bytes(), 0, 0);
        }
    }

    fn finish(self: Box<Self>, total: usize, zeros: &Buffer) -> (Field, ArrayRef) {
        let views = if self.views.is_empty() { ScalarBuffer::new(zeros.clone(), 0, total) } else { self.views.into() };
        let array = StringViewArray::new(views, [], None);
        (Field::new(self.name, DataType::Utf8View, true), Arc::new(array))
    }
}

/// A text that no row has.
pub struct NoText(String);

impl NoText {
    pub fn new(name: String) -> Self {
        NoText(name)
    }
}

impl<R> Column<R> for NoText {
    fn fill(&mut self, _: &[R], _: Place) {}

    fn finish(self: Box<Self>, total: usize, zeros: &Buffer) -> (Field, ArrayRef) {
        (Field::new(self.0, DataType::Utf8View, true), Arc::new(no_text(total, zeros)))
    }
}

fn no_text(total: usize, zeros: &Buffer) -> StringViewArray {
    let views = ScalarBuffer::new(zeros.clone(), 0, total);
    StringViewArray::new(views, [], nulls(Bits::default(), total, zeros))
}
