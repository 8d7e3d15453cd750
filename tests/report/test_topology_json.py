"""The topology as JSON follows the schema and says the same as the file."""

from __future__ import annotations

import io
import json

import jsonschema

from flowscope.nat.inferred import Guess, Inferred
from flowscope.nat.topology import Frontend, Topology
from flowscope.report.look import Look
from flowscope.report.topology_json import render
from tests.report.test_json import SCHEMA
from tests.traffic import analysis


def test_it_follows_the_schema() -> None:
    found = Inferred(
        Topology(None, (Frontend("10.0.0.9:80", "10.0.0.9", 80),)),
        {("frontend", "10.0.0.9:80"): "Seen."},
        {("frontend", "10.0.0.9:80"): (Guess("mode", "dsr", "maybe"),)},
        ("A remark.",),
    )
    out = io.BytesIO()
    render(analysis(inferred=found, problems=["odd"]), out, Look())
    document = json.loads(out.getvalue())
    jsonschema.validate(document, SCHEMA)
    assert document["topology"]["frontend"][0]["address"] == "10.0.0.9"
    assert document["reasons"] == [{"part": "frontend", "name": "10.0.0.9:80", "reason": "Seen."}]
    assert document["guesses"][0]["value"] == "dsr"
    assert (document["remarks"], document["problems"]) == (["A remark."], ["odd"])


def test_an_empty_one() -> None:
    out = io.BytesIO()
    render(analysis(), out, Look())
    document = json.loads(out.getvalue())
    jsonschema.validate(document, SCHEMA)
    assert document["topology"] == {}
