"""Tables for data tools: Parquet, nested as in the JSON report, times as timestamps."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, Literal

import polars as pl

from flowscope.report.look import Look
from flowscope.report.rows import row_slices

if TYPE_CHECKING:
    from flowscope.analysis import Analysis


def render_rows(analysis: Analysis, what: Literal["flows", "paths"], out: BinaryIO, look: Look) -> None:
    """Writes one table as Parquet; ``first`` and ``last`` are UTC timestamps in nanoseconds."""
    times = ("first", "last") if what == "flows" else ("first",)
    table = analysis.flows if what == "flows" else analysis.paths
    rows = pl.concat(list(row_slices(analysis, what)))
    stamps = [
        pl.from_epoch(table[f"{name}_ns"], time_unit="ns").dt.replace_time_zone("UTC").alias(name) for name in times
    ]
    # Parquet is written at the end first, so it needs a file that can seek.
    buffer = io.BytesIO()
    rows.with_columns(stamps).write_parquet(buffer)
    out.write(buffer.getbuffer())
