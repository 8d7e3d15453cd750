"""idle-timeout: a pause, then one side only; what crosses, what the capture lost, what never paused is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import CLIENTS, MEMBERS, call, findings
from tests.wire import ACK, MS, PSH, RST, SYN, T0, Hop, Wire, accept, talk

pytestmark = pytest.mark.usefixtures("core")
RULE = "idle-timeout"
SECOND = 1_000_000_000


def paused(
    wire: Wire, how: str, port: int, at: int, isn: int, pause: int = 4 * SECOND, question: bytes = b"again?"
) -> None:
    """One exchange, a pause, and a second question that does not get through."""
    hops = call(0, port)
    wire.packet(hops, at, SYN, isn)
    wire.packet(hops, at + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, 9001)
    wire.packet(hops, at + 3 * MS, PSH | ACK, isn + 1, 9001, b"question")
    wire.packet(hops, at + 4 * MS, PSH | ACK, 9001, isn + 9, b"answer", back=True)
    wire.packet(hops, at + 5 * MS, ACK, isn + 9, 9007)
    late = at + pause
    if how == "through":
        wire.packet(hops, late, PSH | ACK, isn + 9, 9007, question)
        wire.packet(hops, late + MS, RST, 9007, back=True)
        return
    if how == "rebalanced":
        other = [hops[0], *(Hop(point, (CLIENTS[0], port), MEMBERS[1], 60, 160_000, 64) for point in ("back", "b"))]
        wire.packet(other, late, PSH | ACK, isn + 9, 9007, question)
        wire.packet(other, late + MS, RST, 9007, back=True)
        return
    wire.packet(hops[:1], late, PSH | ACK, isn + 9, 9007, question)
    if how == "reset":
        wire.packet(hops[:1], late + MS, RST, 9007, back=True)
    elif how == "lost by the capture":
        wire.packet(hops[:1], late + MS, PSH | ACK, 9007, isn + 15, b"sure", back=True)
    else:
        for retry in range(3):
            wire.packet(hops[:1], late + (200 << retry) * MS, PSH | ACK, isn + 9, 9007, question)


def scene(how: str, connections: int = 3, pause: int = 4 * SECOND, question: bytes = b"again?") -> Wire:
    wire = Wire()
    for at in range(connections):
        paused(wire, how, 40000 + at, T0 + at * 50 * MS, 50_000 * at + 7, pause, question)
    for at in range(10):
        accept(wire, call(at % 2, 41000 + at), T0 + at * SECOND, isn=90_000 * at + 3, answer=20_000 * at + 1)
    return wire


@pytest.mark.parametrize("how", ["silent", "reset", "rebalanced"])
@pytest.mark.parametrize("topology", [True, False])
def test_flags_connections_that_go_on_at_one_side_only(tmp_path: Path, how: str, topology: bool) -> None:
    (found,) = findings(scene(how), tmp_path, RULE, *([] if topology else [None]))
    assert (found.verdict, found.count, found.facts["how"]) == (Verdict.CONFIRMED, 3, how)
    assert dict(found.subject) == {"frontend": "203.0.113.9:443"}
    assert found.facts["idle_s"] == 4.0
    assert found.evidence and found.filter


def test_spares_a_reset_that_the_member_sent(tmp_path: Path) -> None:
    assert findings(scene("through"), tmp_path, RULE) == []


def test_spares_what_the_capture_lost(tmp_path: Path) -> None:
    assert findings(scene("lost by the capture"), tmp_path, RULE) == []


def test_spares_loss_without_a_pause(tmp_path: Path) -> None:
    assert findings(scene("silent", pause=300 * MS), tmp_path, RULE) == []


def test_spares_a_capture_that_ended_in_the_pause(tmp_path: Path) -> None:
    wire = scene("silent", pause=20 * SECOND)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_a_single_connection(tmp_path: Path) -> None:
    (found,) = findings(scene("silent", 1), tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture


def test_doubts_where_only_large_segments_are_lost(tmp_path: Path) -> None:
    (found,) = findings(scene("silent", question=bytes(1400)), tmp_path, RULE)
    assert found.verdict is Verdict.UNDECIDED
    assert "too small" in found.caveats[-1]


def test_a_small_segment_among_the_lost_tells_it_from_a_small_link(tmp_path: Path) -> None:
    wire = scene("silent", question=bytes(1400))
    paused(wire, "silent", 40100, T0, 70_007)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.count) == (Verdict.CONFIRMED, 4)


def test_spares_a_pause_where_large_segments_vanish_without_one(tmp_path: Path) -> None:
    wire = scene("silent", 1, question=bytes(1400))
    paused(wire, "silent", 40100, T0, 70_007, 300 * MS, bytes(1400))
    assert findings(wire, tmp_path, RULE) == []


@pytest.mark.parametrize(("pause", "verdict"), [(3, Verdict.CONFIRMED), (6, Verdict.LIKELY)])
def test_doubts_a_time_out_that_others_outlast(tmp_path: Path, pause: int, verdict: Verdict) -> None:
    """Connections that go on after longer pauses: something else cuts those that do not."""
    wire = scene("reset")
    for at in range(3):
        turns = [
            (1.0, False, b"question"),
            (2.0, True, b"answer"),
            (pause * 1000.0, False, b"more"),
            (pause * 1000.0 + 1, True, b"well"),
        ]
        talk(wire, call(1, 43000 + at), turns, T0 + at * 70 * MS, isn=800_000 * at + 5)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.count) == (verdict, 3)
    assert any("went on after a pause as long" in caveat for caveat in found.caveats) is (pause > 4)


@pytest.mark.parametrize("ttl", [63, 64])
def test_tells_the_ttl_of_a_reset_that_is_nearer_than_the_member(tmp_path: Path, ttl: int) -> None:
    wire = scene("silent", 0)
    for at in range(3):
        port, isn = 40000 + at, 50_000 * at + 7
        paused(wire, "cut", port, T0 + at * 50 * MS, isn)
        wire.packet([replace(call(0, port)[0], reply_ttl=ttl)], T0 + 5 * SECOND + at * MS, RST, 9007, back=True)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.facts["how"], found.count) == ("reset", 3)
    assert ("TTL 64 at front, the member's packets have 63 there" in found.summary) is (ttl == 64)
