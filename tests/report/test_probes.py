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
from tests.probes.asking import clients, known, rounds
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
    assert len(strips) == 3
    assert strips[2].startswith("pool shop") and "x" not in strips[2]
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


def test_members_that_are_up_are_ranked_by_latency(analysis: Analysis) -> None:
    rows = json.loads(written(analysis, "json"))["probes"]
    assert sorted(row["latency_rank"] for row in rows) == [1, 2]
    assert min(rows, key=lambda row: row["latency_ms"])["latency_rank"] == 1
    assert [row["member_per_minute"] for row in rows] == [60.0, 60.0]


def test_a_pool_is_down_with_its_last_member(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200", *["503"] * 3, "200"], ["200", "200", "hang", "hang", "200"])
    found = judged(wire, tmp_path, known())
    (pool,) = json.loads(written(found, "json"))["pools"]
    assert (pool["name"], pool["members"], pool["fails_open"]) == ("shop", ["10.1.0.4:9443", "10.1.0.5:9443"], False)
    states = [(one["state"], one["reason"]) for one in pool["timeline"]]
    assert states == [
        ("up", "10.1.0.4:9999 is up (status 200)"),
        ("down", "the last member, 10.1.0.5:9999 is down (no answer after the request): no new connections"),
        ("up", "10.1.0.4:9999 is up (status 200)"),
    ]
    assert "pool shop: 3 changes" in written(found, "text").decode()


def test_text_says_why_there_may_be_none(tmp_path: Path) -> None:
    wire = Wire()
    clients(wire, [0, 1])
    text = written(judged(wire, tmp_path, known()), "text").decode()
    assert "a capture filter that leaves the probes out" in text
