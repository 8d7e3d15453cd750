"""Each request of a prober that keeps its connection alive is a probe."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import Analysis
from flowscope.findings import Verdict
from tests.probes.asking import REQUEST, SECOND, response
from tests.rules.scene import judged, probe
from tests.wire import ACK, FIN, MS, PSH, SYN, T0, Wire

pytestmark = pytest.mark.usefixtures("core")


def kept(script: str, wire: Wire | None = None, member: int = 0, *, close_ms: int | None = 5) -> Wire:
    """One connection with a probe every five seconds: a status, ``-`` for no answer."""
    wire = wire or Wire()
    hops, sent, got, start = probe(member, 45_000 + member), 101, 9001, T0 + member * 300 * MS
    wire.packet(hops, start, SYN, sent - 1)
    wire.packet(hops, start + MS, SYN | ACK, got - 1, sent, back=True)
    wire.packet(hops, start + 2 * MS, ACK, sent, got)
    at = start
    for number, met in enumerate(script.split()):
        at = start + number * 5 * SECOND + 3 * MS
        wire.packet(hops, at, PSH | ACK, sent, got, REQUEST)
        sent += len(REQUEST)
        if met == "-":
            wire.packet(hops, at + 2 * MS, ACK, got, sent, back=True)
            continue
        answer = response(met)
        wire.packet(hops, at + 2 * MS, PSH | ACK, got, sent, answer, back=True)
        got += len(answer)
        wire.packet(hops, at + 3 * MS, ACK, sent, got)
    if close_ms is not None:
        wire.packet(hops, at + close_ms * MS, FIN | ACK, sent, got)
        wire.packet(hops, at + (close_ms + 1) * MS, FIN | ACK, got, sent + 1, back=True)
    return wire


def results(analysis: Analysis) -> list[str]:
    return [how or result for how, result in analysis.health[0].readings.select("how", "result").iter_rows()]


def test_each_request_is_a_probe(tmp_path: Path) -> None:
    analysis = judged(kept("200 200 200 503 503 503 404 200"), tmp_path, None)
    assert results(analysis) == ["good"] * 3 + ["status"] * 4 + ["good"]
    assert analysis.health[0].series.interval_ns == 5 * SECOND
    assert [change.state for change in analysis.health[0].timeline] == ["up", "down", "up"]
    (found,) = analysis.findings
    assert (found.rule, found.verdict, found.count) == ("probe-failing", Verdict.CONFIRMED, 4)
    assert found.paths == (0,)
    assert sum("status 503" in one.note for one in found.evidence) == 2 * 3, "three of them at two points"


def test_the_connection_may_be_older_than_the_capture(tmp_path: Path) -> None:
    wire = kept("200 200 503 503 503 503")
    wire.frames = {name: [one for one in own if one[0] > T0 + SECOND] for name, own in wire.frames.items()}
    analysis = judged(wire, tmp_path, None)
    assert results(analysis) == ["good"] + ["status"] * 4
    assert [one.rule for one in analysis.findings] == ["probe-failing"]


@pytest.mark.parametrize(("close_ms", "last"), [(5000, "timeout"), (None, "open"), (20, "unknown")])
def test_the_last_one_without_an_answer(tmp_path: Path, close_ms: int | None, last: str) -> None:
    assert results(judged(kept("200 200 200 -", close_ms=close_ms), tmp_path, None)) == ["good"] * 3 + [last]


def test_a_member_that_closes_as_it_is_asked_is_not_accused(tmp_path: Path) -> None:
    wire = kept("200 200 200", close_ms=None)
    hops, sent, got = probe(0, 45_000), 101 + 3 * len(REQUEST), 9001 + 3 * len(response("200"))
    at = T0 + 15 * SECOND
    wire.packet(hops, at, PSH | ACK, sent, got, REQUEST)
    wire.packet(hops, at, FIN | ACK, got, sent, back=True)
    wire.packet(hops, at + MS, FIN | ACK, sent + len(REQUEST), got + 1)
    assert results(judged(wire, tmp_path, None)) == ["good"] * 3 + ["unknown"]


def test_a_probe_that_was_cut_shows_what_its_answer_shows(tmp_path: Path) -> None:
    wire = kept("200 200 503 503 503 200")
    wire.frames = {name: [(at, one[:96], size) for at, one, size in own] for name, own in wire.frames.items()}
    assert "timeout" not in results(judged(wire, tmp_path, None))
