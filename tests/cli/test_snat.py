"""`flowscope snat`: one row per SNAT address and destination, in every format."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

import flowscope.report
from flowscope.cli import COMMANDS, run
from tests.rules.outbound import OTHER, START, TOPOLOGY, hold, way
from tests.wire import MS, Wire, ignore

pytestmark = pytest.mark.usefixtures("core")
SECOND = 1_000 * MS
SCHEMA = json.loads((Path(flowscope.report.__file__).parent / "schema/flowscope-report-1.json").read_text())


@pytest.fixture
def captures(tmp_path: Path) -> list[str]:
    """Ten ports in use, two connections too many, and another destination."""
    wire = Wire()
    for at in range(10):
        hold(wire, way(40000 + at, 1024 + at), START + at * MS, 1000 * at, 5)
    for at in range(2):
        ignore(wire, way(41000 + at, 1, points="in"), START + SECOND, 700_000 + at * 1000, tries=3)
    hold(wire, way(42000, 1024, OTHER), START + 2 * SECOND, 900_000, 1)
    (tmp_path / "lb.toml").write_text(TOPOLOGY + "fin_hold_s = 65\n")
    return [*wire.write(tmp_path), "--topology", str(tmp_path / "lb.toml")]


def rows(captures: list[str], form: str, capfdbinary: Any) -> bytes:
    assert run(["snat", *captures, "-q", "--format", form]) == 0
    return bytes(capfdbinary.readouterr().out)


def test_it_is_a_command() -> None:
    assert "snat" in COMMANDS


def test_json_is_the_report_s_own(captures: list[str], capfdbinary: Any) -> None:
    content = json.loads(rows(captures, "json", capfdbinary))
    jsonschema.validate(content, SCHEMA, cls=jsonschema.Draft202012Validator)
    full, spare = content["snat"]
    assert (full["address"], full["destination"], full["protocol"]) == ("203.0.113.77", "198.51.100.10:443", "tcp")
    assert (full["ports_available"], full["ports_peak"], full["refused"]) == (10, 10, 2)
    assert (full["ports_from"], full["hold_s"], full["both_sides"]) == ("topology", 65.0, True)
    assert full["ports_needed"] == 12
    assert full["members"] == [{"member": "10.9.0.4", "connections": 10}]
    assert (spare["destination"], spare["ports_peak"], spare["refused"]) == ("198.51.100.20:443", 1, 0)
    # The whole report holds the same rows.
    assert run(["analyze", *captures, "-q", "--brief", "--format", "json"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["snat"] == content["snat"]


def test_text(captures: list[str], capfdbinary: Any) -> None:
    lines = rows(captures, "text", capfdbinary).decode().splitlines()
    assert lines[0].split()[:4] == ["address", "destination", "proto", "peak/ports"]
    assert lines[1].split()[:6] == ["203.0.113.77", "198.51.100.10:443", "tcp", "10/10", "2", "10"]


def test_csv_jsonl_and_parquet(captures: list[str], capfdbinary: Any) -> None:
    flat = pl.read_csv(io.BytesIO(rows(captures, "csv", capfdbinary)))
    assert flat["members"].to_list() == ["10.9.0.4 10", "10.9.0.4 1"]
    lines = [json.loads(line) for line in rows(captures, "jsonl", capfdbinary).splitlines()]
    assert [line["type"] for line in lines] == ["snat", "snat"]
    table = pl.read_parquet(io.BytesIO(rows(captures, "parquet", capfdbinary)))
    assert table.schema["peak_at"] == pl.Datetime("ns", "UTC")
    assert table["ports_peak"].to_list() == [10, 1]


@pytest.mark.parametrize("form", ["text", "csv", "jsonl", "json", "parquet"])
def test_no_snat_is_no_error(tmp_path: Path, form: str, capfdbinary: Any) -> None:
    wire = Wire()
    hold(wire, way(40000, 1, points="in"), START, 1000, 1)
    out = rows(wire.write(tmp_path), form, capfdbinary)
    assert form == "jsonl" or out
