"""half-flow: some connections to a service are seen one way; mirrors and DSR show all of them so."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import CLIENTS, FRONTEND, MEMBERS, call, findings
from tests.wire import ACK, MS, PSH, SYN, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
RULE = "half-flow"


def oneway(wire: Wire, hops: list[Hop], back: list[Hop], at: int, isn: int) -> None:
    """A connection whose answers take another way: the hops ``back``."""
    wire.packet(hops, at, SYN, isn)
    wire.packet(back, at + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, 9001)
    for part in range(3):
        wire.packet(hops, at + (3 + 2 * part) * MS, PSH | ACK, isn + 1 + part * 8, 9001 + part * 6, b"question")
        wire.packet(
            back, at + (4 + 2 * part) * MS, PSH | ACK, 9001 + part * 6, isn + 9 + part * 8, b"answer", back=True
        )


def scene(halves: int, seen: str = "host", whole_client: str = CLIENTS[0]) -> Wire:
    wire = Wire()
    for at in range(halves):
        oneway(wire, call(0, 40000 + at), call(0, 40000 + at, points=seen), T0 + at * 50 * MS, 50_000 * at + 7)
    for at in range(3):
        accept(wire, call(0, 41000 + at, whole_client), T0 + at * 50 * MS, isn=60_000 * at + 9)
    return wire


def test_flags_answers_that_pass_elsewhere(tmp_path: Path) -> None:
    found = findings(scene(4), tmp_path, RULE)
    assert sorted(one.subject["point"] for one in found) == ["back", "front"]
    (back,) = [one for one in found if one.subject["point"] == "back"]
    assert (back.verdict, back.count) == (Verdict.CONFIRMED, 4)
    assert back.evidence and all("back" in item.note for item in back.evidence)


def test_flags_it_without_a_topology(tmp_path: Path) -> None:
    assert findings(scene(4), tmp_path, RULE, None)


def test_spares_a_one_way_mirror(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(5):
        oneway(wire, call(0, 40000 + at), call(0, 40000 + at, points="host"), T0 + at * 50 * MS, 50_000 * at + 7)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_a_one_way_mirror_that_other_points_expose(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(5):
        hops = call(0, 40000 + at)
        oneway(wire, hops, call(0, 40000 + at, points="front host"), T0 + at * 50 * MS, 50_000 * at + 7)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, dict(found.subject), found.count) == (Verdict.LIKELY, {"point": "back"}, 5)
    assert any("mirror" in caveat for caveat in found.caveats)


def test_spares_direct_server_return_beside_probes_seen_both_ways(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(5):
        src = (CLIENTS[0], 40000 + at)
        there = [Hop("lb", src, FRONTEND, 61, 10_000), Hop("a", src, FRONTEND, 60, 90_000)]
        oneway(wire, there, there[1:], T0 + at * 50 * MS, 50_000 * at + 7)
        accept(wire, [Hop("lb", ("10.1.0.1", 5000 + at), MEMBERS[0], 64)], T0 + at * 50 * MS, isn=at * 99 + 1)
    assert findings(wire, tmp_path, RULE, None) == []


def test_spares_syns_that_nobody_answers(tmp_path: Path) -> None:
    wire = scene(0)
    for at in range(4):
        wire.packet(call(0, 42000 + at), T0 + at * MS, SYN, at * 1000)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_a_single_one(tmp_path: Path) -> None:
    found = findings(scene(1), tmp_path, RULE)
    assert found and {one.verdict for one in found} == {Verdict.UNDECIDED}


def test_doubts_what_may_be_shared_load(tmp_path: Path) -> None:
    found = findings(scene(4, whole_client=CLIENTS[1]), tmp_path, RULE)
    assert found and {one.verdict for one in found} == {Verdict.LIKELY}
    assert all(one.next_capture and "tcpdump" in one.next_capture for one in found)
