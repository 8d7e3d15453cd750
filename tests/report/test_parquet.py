"""Parquet for data tools."""

from __future__ import annotations

import io
from typing import Any

import polars as pl
import pytest

from flowscope.report import render_rows
from flowscope.report.look import Look
from tests.traffic import T0, analysis, balanced


@pytest.mark.parametrize(("what", "rows"), [("flows", 3), ("paths", 1)])
def test_times_are_timestamps(what: Any, rows: int) -> None:
    out = io.BytesIO()
    render_rows(balanced(), what, "parquet", out, Look())
    out.seek(0)
    table = pl.read_parquet(out)
    assert table.height == rows
    assert table.schema["first"] == pl.Datetime("ns", "UTC")
    assert table["first"].dt.timestamp("ns").to_list() == [T0] * rows


@pytest.mark.parametrize("what", ["flows", "paths"])
def test_an_empty_table(what: Any) -> None:
    out = io.BytesIO()
    render_rows(analysis(), what, "parquet", out, Look())
    out.seek(0)
    assert pl.read_parquet(out).height == 0
