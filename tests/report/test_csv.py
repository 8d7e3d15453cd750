"""CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from flowscope.report import render_rows
from flowscope.report.look import Look
from flowscope.report.rows import SLICE
from tests.traffic import analysis, balanced, flows, point


def table(report: Any, what: Any) -> list[dict[str, str]]:
    out = io.BytesIO()
    render_rows(report, what, "csv", out, Look())
    return list(csv.DictReader(io.StringIO(out.getvalue().decode(), newline="")))


def test_flows_are_flat() -> None:
    row = table(balanced(), "flows")[1]
    assert (row["id"], row["point"], row["src"]) == ("1", "vm1", "10.0.0.9:50001")
    assert (row["fwd_packets"], row["rev_bytes"]) == ("5", "400")


def test_paths_are_flat() -> None:
    (row,) = table(balanced(), "paths")
    assert row["legs"] == "10.0.0.9:50001 > 10.0.0.100:80; 10.0.0.9:50001 > 10.0.0.4:8080"
    assert row["flows"] == "0; 2 1"
    assert row["snat"] == ""


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\t=1"])
def test_no_cell_is_a_formula(name: str) -> None:
    assert table(balanced(points=[point(0, name), point(1, "vm1")]), "flows")[0]["point"] == f"'{name}"


def test_quotes_and_line_breaks_stay_in_their_cell() -> None:
    name = 'a,"b"\nc'
    assert table(balanced(points=[point(0, name), point(1, "vm1")]), "flows")[0]["point"] == name


def test_one_header() -> None:
    many = flows(*[{"src": 0, "dst": 1, "src_port": 1, "dst_port": 2}] * (SLICE + 1))
    assert len(table(balanced(flows=many), "flows")) == SLICE + 1


def test_an_empty_table_has_a_header() -> None:
    out = io.BytesIO()
    render_rows(analysis(), "paths", "csv", out, Look())
    assert out.getvalue().startswith(b"id,protocol,first,client,")
