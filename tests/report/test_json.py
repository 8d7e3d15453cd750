"""The JSON report keeps the contract."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

import flowscope.report
from flowscope.report import render, render_rows
from flowscope.report.look import Look
from flowscope.report.rows import SLICE
from tests.report.findings import hairpin, undecided
from tests.traffic import addresses, analysis, balanced, capture, flows, legs, paths, point

SCHEMA = json.loads((Path(flowscope.report.__file__).parent / "schema/flowscope-report-1.json").read_text())


def document(report: Any, **look: Any) -> dict[str, Any]:
    out = io.BytesIO()
    render(report, "json", out, Look(**look))
    content: dict[str, Any] = json.loads(out.getvalue())
    jsonschema.validate(content, SCHEMA, cls=jsonschema.Draft202012Validator)
    return content


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_whole_document() -> None:
    content = document(balanced(findings=[hairpin(), undecided()]))
    assert list(content) == [
        "schema", "version", "captures", "points", "flows", "paths", "probes", "pools", "snat",
        "findings", "problems",
    ]  # fmt: skip
    assert content["schema"] == "flowscope-report/1"
    assert content["flows"][1] == {
        "id": 1, "point": "vm1", "protocol": "tcp", "src": "10.0.0.9:50001", "dst": "10.0.0.4:8080",
        "first": "2026-01-01T00:00:00.000000000Z", "last": "2026-01-01T00:00:00.001000000Z",
        "fwd": {"packets": 5, "bytes": 500, "payload_bytes": 0, "retransmissions": 0, "duplicates": 0, "isn": 1},
        "rev": {"packets": 4, "bytes": 400, "payload_bytes": 0, "retransmissions": 0, "duplicates": 0, "isn": 2},
        "state": "SF", "history": "ShADadfF", "handshake_rtt_ns": 100000,
        "first_capture": 0, "first_frame": 1, "last_capture": 0, "last_frame": 9,
    }  # fmt: skip
    assert content["paths"] == [
        {
            "id": 0, "protocol": "tcp", "first": "2026-01-01T00:00:00.000000000Z", "client": "10.0.0.9:50001",
            "frontend": "10.0.0.100:80", "snat": None, "backend": "10.0.0.4:8080", "outcome": "established",
            "method": "isn", "confidence": 0.999, "ambiguous": False, "margin": None, "runner_up": None, "reasons": [],
            "legs": [
                {"src": "10.0.0.9:50001", "dst": "10.0.0.100:80", "flows": [0], "tunnels": []},
                {"src": "10.0.0.9:50001", "dst": "10.0.0.4:8080", "flows": [2, 1], "tunnels": []},
            ],
        }
    ]  # fmt: skip
    assert content["captures"][0]["link_types"] == ["ETHERNET"]
    assert content["findings"][0]["key"] == "hairpin-mismatch member=10.0.0.4:8080 frontend=10.0.0.100:80"


def test_brief_leaves_out_flows_and_paths() -> None:
    content = document(balanced(findings=[hairpin()]), brief=True)
    assert "flows" not in content
    assert "paths" not in content
    assert len(content["findings"]) == 1


def test_nothing_is_still_a_document() -> None:
    content = document(analysis())
    assert content["flows"] == content["paths"] == content["findings"] == []


@pytest.mark.parametrize("count", [1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE])
def test_slices_join_to_one_list(count: int) -> None:
    one = balanced()
    repeated = balanced(
        flows=pl.concat([one.flows[0]] * count).with_columns(pl.int_range(count, dtype=pl.UInt64).alias("flow")),
        paths=pl.concat([one.paths] * count).with_columns(pl.int_range(count, dtype=pl.UInt32).alias("path")),
    )
    out = io.BytesIO()
    render(repeated, "json", out, Look())
    content = json.loads(out.getvalue())
    assert [row["id"] for row in content["flows"]] == list(range(count))
    assert [row["id"] for row in content["paths"]] == list(range(count))
    assert all(len(row["legs"]) == 2 for row in content["paths"])


def test_endpoints() -> None:
    pair = {"src": 0, "dst": 1, "src_port": 8, "dst_port": 8}
    content = document(
        analysis(
            addresses=addresses("2001:db8::1", "10.0.0.1"),
            flows=flows(pair, {**pair, "protocol": 58}, {**pair, "protocol": 47}),
        )
    )
    assert [row["src"] for row in content["flows"]] == ["[2001:db8::1]:8", "2001:db8::1", "[2001:db8::1]:8"]
    assert [row["protocol"] for row in content["flows"]] == ["tcp", "icmp6", "47"]


def test_a_path_of_one_leg_and_what_is_not_known() -> None:
    content = document(
        analysis(
            addresses=addresses("10.0.0.9", "10.0.0.4"),
            flows=flows({"src": 0, "dst": 1, "src_port": 1, "dst_port": 2, "handshake_rtt_ns": None, "rev_isn": None}),
            legs=legs({"src": 0, "dst": 1, "src_port": 1, "dst_port": 2, "flows": [0]}),
            paths=paths({"legs": [0], "client": 0, "client_port": 1, "backend": 1, "backend_port": 2}),
        )
    )
    path = content["paths"][0]
    assert (path["frontend"], path["snat"], path["backend"]) == (None, None, "10.0.0.4:2")
    assert path["legs"] == [{"src": "10.0.0.9:1", "dst": "10.0.0.4:2", "flows": [0], "tunnels": []}]
    assert content["flows"][0]["rev"]["isn"] is None


def test_hostile_names_survive() -> None:
    name = 'a"b\\c\nd\x1b\u2028</script>'
    content = document(
        balanced(
            captures=[capture(0, "bad\udcff" + name), capture(1)],
            points=[point(0, name, interface=name), point(1, "vm1")],
            findings=[hairpin(title=name, facts={"x": float("1e300")})],
        )
    )
    assert content["captures"][0]["path"] == "bad\ufffd" + name
    assert content["points"][0]["name"] == content["flows"][0]["point"] == content["findings"][0]["title"] == name


@pytest.mark.parametrize("what", ["flows", "paths"])
def test_one_table(what: Any) -> None:
    out = io.BytesIO()
    render_rows(balanced(), what, "json", out, Look())
    content = json.loads(out.getvalue())
    jsonschema.validate(content, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert list(content) == ["schema", "version", "captures", "points", what]
    assert content[what] == document(balanced())[what]
