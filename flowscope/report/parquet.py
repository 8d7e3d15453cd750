"""Tables for data tools: Parquet, nested as in the JSON report, times as timestamps."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

import polars as pl

from flowscope.report.look import Look
from flowscope.report.rows import What, row_slices

if TYPE_CHECKING:
    from flowscope.analysis import Analysis


def render_rows(analysis: Analysis, what: What, out: BinaryIO, look: Look) -> None:
    """Writes one table as Parquet; times are UTC timestamps in nanoseconds."""
    rows = pl.concat(list(row_slices(analysis, what)))
    times = {"flows": ("first", "last"), "paths": ("first",), "probes": (), "snat": ("peak_at",)}[what]
    stamps = [pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ns", time_zone="UTC") for name in times]
    # Parquet is written at the end first, so it needs a file that can seek.
    buffer = io.BytesIO()
    rows.with_columns(stamps).write_parquet(buffer)
    out.write(buffer.getbuffer())
