"""path-loss: repeats at one point of what the next never saw; holes of a capture and loss farther on are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import call, findings
from tests.wire import ACK, FIN, MS, PSH, SYN, T0, Wire

pytestmark = pytest.mark.usefixtures("core")
RULE = "path-loss"


def upload(
    wire: Wire, port: int, at: int, isn: int, *, upto: int | None, again: bool = True, hole: bool = False
) -> None:
    """Five segments; of the third only the first ``upto`` points see the first copy."""
    hops = call(0, port)
    wire.packet(hops, at, SYN, isn)
    wire.packet(hops, at + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, 9001)
    for part in range(5):
        seen = hops[::2] if hole and part == 1 else hops
        lost = part == 2
        wire.packet(
            seen, at + (3 + part) * MS, PSH | ACK, isn + 1 + 100 * part, 9001, b"x" * 100, upto=upto if lost else None
        )
    if again:
        wire.packet(hops, at + 300 * MS, PSH | ACK, isn + 201, 9001, b"x" * 100)
    wire.packet(hops, at + 310 * MS, ACK, 9001, isn + 501, back=True)
    wire.packet(hops, at + 320 * MS, FIN | ACK, isn + 501, 9001)
    wire.packet(hops, at + 330 * MS, FIN | ACK, 9001, isn + 502, back=True)


def scene(connections: int = 5, *, upto: int | None = 1, again: bool = True, hole: bool = False) -> Wire:
    wire = Wire()
    for at in range(connections):
        upload(wire, 40000 + at, T0 + at * 500 * MS, 50_000 * at + 7, upto=upto, again=again, hole=hole)
    return wire


@pytest.mark.parametrize("topology", [True, False])
@pytest.mark.parametrize(("upto", "between"), [(1, ["front", "back"]), (2, ["back", "a"])])
def test_flags_the_stretch_where_segments_get_lost(
    tmp_path: Path, upto: int, between: list[str], topology: bool
) -> None:
    (found,) = findings(scene(upto=upto), tmp_path, RULE, *([] if topology else [None]))
    assert (found.verdict, found.subject["points"], found.count) == (Verdict.CONFIRMED, between, 5)
    assert "at least 5 segments (500 of" in found.summary


def test_spares_loss_beyond_the_last_point(tmp_path: Path) -> None:
    assert findings(scene(upto=None), tmp_path, RULE) == []


def test_spares_holes_of_a_capture_that_nobody_had_to_fill(tmp_path: Path) -> None:
    assert findings(scene(upto=1, again=False), tmp_path, RULE) == []


def test_spares_one_lost_segment(tmp_path: Path) -> None:
    assert findings(scene(1), tmp_path, RULE) == []


def test_doubts_a_capture_that_has_holes_of_its_own(tmp_path: Path) -> None:
    wire = scene()
    for at in range(3):
        upload(wire, 45000 + at, T0 + at * 500 * MS, 70_000 * at + 9, upto=None, again=False, hole=True)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture
