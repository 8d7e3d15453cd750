//! The module `flowscope._core`: the core's verbs for Python, its tables through the Arrow PyCapsule interface.
#![forbid(unsafe_code)]

mod evidence;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};

use flowscope_core::engine::{self, Settings};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use pyo3::{create_exception, pyclass, pymethods, pymodule};

use evidence::{Annotator, Selection};
use table::{Table, Tables};

create_exception!(_core, CoreError, PyException, "The core failed on its own account: a bug in flowscope.");

/// Runs core code so that a panic becomes a Python exception and never an abort.
fn guarded<T>(work: impl FnOnce() -> T) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "unknown panic".to_owned());
        CoreError::new_err(text)
    })
}

#[pyclass]
struct Engine {
    inner: engine::Engine,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, from_ns=None, to_ns=None, max_frames=None, community_id=false, messages=true))]
    fn new(
        from_ns: Option<i64>,
        to_ns: Option<i64>,
        max_frames: Option<u64>,
        community_id: bool,
        messages: bool,
    ) -> PyResult<Self> {
        let settings = Settings { from_ns, to_ns, max_frames, community_id, messages };
        Ok(Engine { inner: guarded(|| engine::Engine::new(settings))? })
    }

    fn open(&mut self, ring: u32) -> PyResult<u32> {
        guarded(|| self.inner.open(ring))
    }

    fn only(&mut self, capture: u32, frames: Vec<u64>) -> PyResult<()> {
        guarded(|| self.inner.only(capture, frames))
    }

    // `bytes` cannot change, so the buffer may be read while other threads run.
    fn feed(&mut self, py: Python<'_>, capture: u32, data: &[u8]) -> PyResult<bool> {
        let inner = &mut self.inner;
        py.detach(|| guarded(|| inner.feed(capture, data)))
    }

    fn close<'py>(&mut self, py: Python<'py>, capture: u32) -> PyResult<Bound<'py, PyDict>> {
        let inner = &mut self.inner;
        let summary = py
            .detach(|| guarded(|| inner.close(capture)))?
            .ok_or_else(|| CoreError::new_err(format!("capture {capture} is not open")))?;
        summary_row(py, summary)
    }

    fn summary<'py>(&self, py: Python<'py>, capture: u32) -> PyResult<Bound<'py, PyDict>> {
        let summary = guarded(|| self.inner.summary(capture))?
            .ok_or_else(|| CoreError::new_err(format!("capture {capture} is not open")))?;
        summary_row(py, summary)
    }

    fn forget(&mut self, py: Python<'_>, closed_ns: i64, silent_ns: i64) -> PyResult<usize> {
        let inner = &mut self.inner;
        py.detach(|| guarded(|| inner.forget(closed_ns, silent_ns)))
    }

    fn keep_addresses(&mut self, py: Python<'_>, used: Vec<u32>) -> PyResult<usize> {
        let inner = &mut self.inner;
        py.detach(|| guarded(|| inner.keep_addresses(&used)))
    }

    fn drain(&mut self, py: Python<'_>) -> PyResult<Tables> {
        let inner = &mut self.inner;
        let tables = py.detach(|| guarded(|| inner.drain()))?;
        Tables::new(py, tables)
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<Tables> {
        let inner = &mut self.inner;
        let tables = py.detach(|| guarded(|| inner.finish()))?;
        Tables::new(py, tables)
    }
}

/// A summary as the dictionary `CaptureSummary`.
fn summary_row<'py>(py: Python<'py>, summary: engine::Summary) -> PyResult<Bound<'py, PyDict>> {
    let row = PyDict::new(py);
    row.set_item("format", summary.format)?;
    row.set_item("compression", summary.compression)?;
    row.set_item("frames", summary.frames)?;
    row.set_item("bytes", summary.bytes)?;
    row.set_item("first_ns", summary.first_ns)?;
    row.set_item("last_ns", summary.last_ns)?;
    row.set_item("within_record", summary.within_record)?;
    row.set_item("points", summary.points)?;
    row.set_item("error", summary.error)?;
    let issues = PyList::empty(py);
    for issue in summary.issues {
        let entry = PyDict::new(py);
        entry.set_item("kind", issue.kind)?;
        entry.set_item("frame", issue.frame)?;
        entry.set_item("offset", issue.offset)?;
        entry.set_item("detail", issue.detail)?;
        entry.set_item("count", issue.count)?;
        issues.append(entry)?;
    }
    row.set_item("issues", issues)?;
    Ok(row)
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("CoreError", module.py().get_type::<CoreError>())?;
    module.add_class::<Engine>()?;
    module.add_class::<Selection>()?;
    module.add_class::<Annotator>()?;
    module.add_class::<Tables>()?;
    module.add_class::<Table>()
}
