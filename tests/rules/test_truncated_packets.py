"""truncated-packets: says which point kept how much, and what that weakens."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Severity, Verdict
from tests.rules.scene import call, findings
from tests.wire import ACK, MS, PSH, T0, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
RULE = "truncated-packets"


def test_flags_a_point_with_cut_frames(tmp_path: Path) -> None:
    wire, hops = Wire(), call(points="back")
    accept(wire, hops)
    wire.packet(hops, T0 + 100 * MS, PSH | ACK, 5000, 1, b"x" * 900, snap=96)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.severity, found.verdict, found.count) == (Severity.INFO, Verdict.CONFIRMED, 1)
    assert (found.subject, found.filter) == ({"point": "back"}, "frame.cap_len < frame.len")
    assert [item.frame for item in found.evidence] == [8]


def test_spares_whole_frames(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, call())
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_joins_when_even_headers_are_cut(tmp_path: Path) -> None:
    wire, hops = Wire(), call(points="back")
    accept(wire, hops, snap=54)
    (found,) = findings(wire, tmp_path, RULE)
    assert "headers" in found.summary
