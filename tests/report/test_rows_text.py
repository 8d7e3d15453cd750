"""Tables for people."""

from __future__ import annotations

import io
from typing import Any

import polars as pl

from flowscope.report import render_rows
from flowscope.report.look import Look
from tests.traffic import analysis, balanced, point


def lines(report: Any, what: Any, *, verbose: bool = False) -> list[str]:
    out = io.BytesIO()
    render_rows(report, what, "text", out, Look(verbose=verbose))
    return out.getvalue().decode().splitlines()


def test_flows() -> None:
    found = lines(balanced(), "flows")
    assert found[0].split() == [
        "id",
        "time",
        "point",
        "proto",
        "source",
        "destination",
        "state",
        "packets",
        "bytes",
        "history",
    ]
    assert found[2].split() == [
        "1",
        "00:00:00.000000",
        "vm1",
        "tcp",
        "10.0.0.9:50001",
        "10.0.0.4:8080",
        "SF",
        "5/4",
        "500/400",
        "ShADadfF",
    ]
    assert len({line.index(":50001") for line in found[1:]}) == 1


def test_paths() -> None:
    found = lines(balanced(), "paths")
    assert found[0].split() == ["id", "time", "proto", "client", "frontend", "backend", "outcome", "joined", "by"]
    assert found[1].split()[3:] == [
        "10.0.0.9:50001",
        "10.0.0.100:80",
        "10.0.0.4:8080",
        "established",
        "isn",
        "99.9",
        "%",
    ]


def test_verbose_paths_say_what_their_joins_rest_on() -> None:
    report = balanced()
    told = {"margin": 12.34, "runner_up": 0, "reasons": [["same client ISN", "TTL lower by 1"]] * report.paths.height}
    report.paths = report.paths.with_columns(
        margin=pl.lit(told["margin"]),
        runner_up=pl.lit(told["runner_up"], pl.UInt64),
        reasons=pl.Series(told["reasons"], dtype=pl.List(pl.String)),
    )
    plain, found = lines(report, "paths"), lines(report, "paths", verbose=True)
    assert [line for line in found if not line.startswith("        margin")] == plain
    assert found[2] == (
        "        margin 12.3 bits, runner-up 10.0.0.9:50001 > 10.0.0.100:80, same client ISN; TTL lower by 1"
    )
    report.paths = report.paths.with_columns(method=pl.lit("single"), ambiguous=pl.lit(value=False))
    assert len(lines(report, "paths", verbose=True)) == len(plain)


def test_an_empty_table_is_its_header() -> None:
    assert len(lines(analysis(), "flows")) == len(lines(analysis(), "paths")) == 1


def test_hostile_point_names() -> None:
    found = lines(balanced(points=[point(0, "\x1b[31mred\n"), point(1, "vm1")]), "flows")
    assert len(found) == 4
    assert "\\x1b[31mred\\x0a" in found[1]
