//! Tables for Python: each hands itself over as an Arrow stream (Arrow PyCapsule interface).

use arrow_array::RecordBatch;
use arrow_array::RecordBatchIterator;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use flowscope_core::table;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

/// One table of the core.
#[pyclass(frozen)]
pub struct Table {
    batch: RecordBatch,
}

#[pymethods]
impl Table {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // A producer may ignore the request (Arrow PyCapsule interface, "Schema requests").
        drop(requested_schema);
        let batches = RecordBatchIterator::new([Ok(self.batch.clone())], self.batch.schema());
        let stream = FFI_ArrowArrayStream::new(Box::new(batches));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }
}

/// What `drain` and `finish` return.
#[pyclass(frozen)]
pub struct Tables {
    #[pyo3(get)]
    flows: Py<Table>,
    #[pyo3(get)]
    events: Py<Table>,
    #[pyo3(get)]
    messages: Py<Table>,
    #[pyo3(get)]
    issues: Py<Table>,
    #[pyo3(get)]
    addresses: Py<Table>,
    #[pyo3(get)]
    points: Py<Table>,
}

impl Tables {
    /// The core's tables as Python objects.
    pub fn new(py: Python<'_>, tables: table::Tables) -> PyResult<Tables> {
        let wrap = |batch| Py::new(py, Table { batch });
        Ok(Tables {
            flows: wrap(tables.flows)?,
            events: wrap(tables.events)?,
            messages: wrap(tables.messages)?,
            issues: wrap(tables.issues)?,
            addresses: wrap(tables.addresses)?,
            points: wrap(tables.points)?,
        })
    }
}
