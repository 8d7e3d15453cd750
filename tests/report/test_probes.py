"""The rows of probes, in every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest

from flowscope.analysis import Analysis
from flowscope.report import render_rows
from flowscope.report.look import Look
from tests.probes.asking import known, rounds
from tests.rules.scene import judged
from tests.traffic import analysis as empty
from tests.wire import Wire

pytestmark = pytest.mark.usefixtures("core")
LOOK = Look(brief=False, colour=False, utc=True, verbose=False)


@pytest.fixture
def analysis(tmp_path: Path, core: object) -> Analysis:
    wire = Wire()
    rounds(wire, ["200", "503", "200"], ["200"] * 3)
    return judged(wire, tmp_path, known())


def written(analysis: Analysis, format: str) -> bytes:
    out = io.BytesIO()
    render_rows(analysis, "probes", format, out, LOOK)
    return out.getvalue()


def test_json_has_the_contracts_keys(analysis: Analysis) -> None:
    row = json.loads(written(analysis, "json"))["probes"][0]
    assert (row["member"], row["source"], row["protocol"]) == ("10.1.0.4:9999", "168.63.129.16", "http")
    assert (row["interval_s"], row["sent"], row["succeeded"]) == (1.0, 3, 2)
    assert [(one["state"], one["reason"]) for one in row["timeline"]] == [
        ("up", "status 200"),
        ("down", "status 503"),
        ("up", "status 200"),
    ]
    assert row["timeline"][1]["time"].startswith("2026-01-01T00:00:01.00")


def test_text_shows_a_strip_per_member(analysis: Analysis) -> None:
    text = written(analysis, "text").decode()
    strips = [line for line in text.splitlines() if line.endswith("|")]
    assert len(strips) == 2
    assert "=x" in strips[0] and "x=" in strips[0]
    assert "x" not in strips[1].split("|")[1]
    assert "down: status 503" in text


def test_csv_jsonl_and_parquet_have_a_row_per_member(analysis: Analysis) -> None:
    rows = list(csv.DictReader(io.StringIO(written(analysis, "csv").decode())))
    assert [row["name"] for row in rows] == ["vm-a", "vm-b"]
    assert "down (status 503)" in rows[0]["timeline"]
    lines = [json.loads(line) for line in written(analysis, "jsonl").splitlines()]
    assert [line["type"] for line in lines] == ["probe", "probe"]
    assert pl.read_parquet(io.BytesIO(written(analysis, "parquet"))).height == 2


@pytest.mark.parametrize("format", ["text", "csv", "json", "jsonl", "parquet"])
def test_no_probes_is_no_error(format: str) -> None:
    written(empty(), format)
