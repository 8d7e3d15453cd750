//! Frames read again and captures copied, for what proves a finding.

use std::collections::HashMap;

use flowscope_core::container::Annotator as CoreAnnotator;
use flowscope_core::selection::{Picked, Selection as CoreSelection, Stretch, Wanted};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::guarded;

type FlowRow = (Vec<u8>, u16, Vec<u8>, u16, u8, u64, u64, u64);
type FrameRow<'py> = (u64, i64, u32, u32, Vec<u32>, Bound<'py, PyBytes>);

/// Picks frames out of one capture.
#[pyclass]
pub struct Selection {
    inner: CoreSelection,
}

#[pymethods]
impl Selection {
    #[new]
    #[pyo3(signature = (*, flows=Vec::new(), frames=Vec::new(), everything=false, from_ns=None, to_ns=None, max_frames=None))]
    fn new(
        flows: Vec<FlowRow>,
        frames: Vec<u64>,
        everything: bool,
        from_ns: Option<i64>,
        to_ns: Option<i64>,
        max_frames: Option<u64>,
    ) -> PyResult<Self> {
        let mut stretches = Vec::with_capacity(flows.len());
        for (src, src_port, dst, dst_port, protocol, first, last, most) in flows {
            let (Ok(src), Ok(dst)) = (src.try_into(), dst.try_into()) else {
                return Err(pyo3::exceptions::PyValueError::new_err("an address has 16 bytes"));
            };
            stretches.push(Stretch { src, dst, src_port, dst_port, protocol, first, last, most });
        }
        let wanted = Wanted { stretches, frames, everything, from_ns, to_ns, max_frames };
        Ok(Selection { inner: guarded(|| CoreSelection::new(wanted))? })
    }

    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Vec<FrameRow<'py>>> {
        let inner = &mut self.inner;
        Ok(rows(py, py.detach(|| guarded(|| inner.feed(data)))?))
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Vec<FrameRow<'py>>> {
        let inner = &mut self.inner;
        Ok(rows(py, py.detach(|| guarded(|| inner.finish()))?))
    }

    fn skip_to(&mut self, frame: u64, offset: u64) -> PyResult<bool> {
        guarded(|| self.inner.skip_to(frame, offset))
    }

    #[getter]
    fn done(&self) -> bool {
        self.inner.done()
    }

    #[getter]
    fn interfaces(&self) -> Vec<(Option<String>, u16, u32)> {
        self.inner.interfaces().iter().map(|one| (one.name.clone(), one.link_type, one.snap_length)).collect()
    }
}

fn rows(py: Python<'_>, picked: Vec<Picked>) -> Vec<FrameRow<'_>> {
    picked
        .into_iter()
        .map(|one| {
            (one.number, one.time_ns, one.wire_length, one.interface, one.stretches, PyBytes::new(py, &one.data))
        })
        .collect()
}

/// Copies one capture and writes comments into it.
#[pyclass]
pub struct Annotator {
    inner: CoreAnnotator,
}

#[pymethods]
impl Annotator {
    #[new]
    #[pyo3(signature = (comments, section_comment, *, frames_only=false))]
    fn new(comments: HashMap<u64, Vec<String>>, section_comment: String, frames_only: bool) -> PyResult<Self> {
        Ok(Annotator { inner: guarded(|| CoreAnnotator::new(comments, section_comment, frames_only))? })
    }

    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let inner = &mut self.inner;
        Ok(PyBytes::new(py, &py.detach(|| guarded(|| inner.feed(data)))?))
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let inner = &mut self.inner;
        Ok(PyBytes::new(py, &py.detach(|| guarded(|| inner.finish()))?))
    }

    #[getter]
    fn written(&self) -> u64 {
        self.inner.written()
    }
}
