"""One object per line."""

from __future__ import annotations

import io
import json
from typing import Any

import jsonschema

from flowscope.report import render, render_rows
from flowscope.report.look import Look
from tests.report.findings import hairpin
from tests.report.test_json import SCHEMA
from tests.traffic import balanced, capture


def rows(report: Any, **look: Any) -> list[dict[str, Any]]:
    out = io.BytesIO()
    render(report, "jsonl", out, Look(**look))
    return [json.loads(line) for line in out.getvalue().decode().split("\n")[:-1]]


def test_every_line_is_an_object_with_a_type() -> None:
    issue = {"kind": "truncated-tail", "frame": 5, "offset": 9, "detail": "cut", "count": 1}
    found = rows(balanced(captures=[capture(0, issues=(issue,)), capture(1)], findings=[hairpin()]))
    assert [row["type"] for row in found] == ["issue", "finding", "flow", "flow", "flow", "path", "stats"]
    assert found[0] == {"type": "issue", "capture": 0, **issue}
    assert found[-1]["flows"] == 3
    for row in found:
        kind = row.pop("type")
        if kind in ("finding", "flow", "path"):
            jsonschema.validate(row, {"$defs": SCHEMA["$defs"], "$ref": f"#/$defs/{kind}"})


def test_brief() -> None:
    assert [row["type"] for row in rows(balanced(findings=[hairpin()]), brief=True)] == ["finding", "stats"]


def test_one_table() -> None:
    out = io.BytesIO()
    render_rows(balanced(), "paths", "jsonl", out, Look())
    assert json.loads(out.getvalue())["type"] == "path"
