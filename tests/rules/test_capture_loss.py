"""capture-loss: acknowledged bytes that a point never saw; loss that is repeated and late starts are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import call, findings
from tests.wire import ACK, FIN, MS, PSH, SYN, T0, Wire

pytestmark = pytest.mark.usefixtures("core")
RULE = "capture-loss"


def upload(
    wire: Wire, port: int, at: int, *, hole: str = "", points: str = "front back host", start: bool = True
) -> None:
    """Five segments; the point ``back`` misses the second, or the network loses it and it is repeated."""
    hops = call(0, port, points=points)
    isn = port * 1000
    if start:
        wire.packet(hops, at, SYN, isn)
        wire.packet(hops, at + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, 9001)
    for part in range(5):
        seen = hops
        if part == 1 and hole == "capture":
            seen = [hop for hop in hops if hop.point != "back"]
        if not seen:
            continue
        upto = 1 if part == 1 and hole == "network" else None
        wire.packet(seen, at + (3 + part) * MS, PSH | ACK, isn + 1 + 100 * part, 9001, b"x" * 100, upto=upto)
    if hole == "network":
        wire.packet(hops, at + 300 * MS, PSH | ACK, isn + 101, 9001, b"x" * 100)
    wire.packet(hops, at + 310 * MS, ACK, 9001, isn + 501, back=True)
    wire.packet(hops, at + 320 * MS, FIN | ACK, isn + 501, 9001)
    wire.packet(hops, at + 330 * MS, FIN | ACK, 9001, isn + 502, back=True)


def scene(hole: str, connections: int = 4, *, points: str = "front back host", start: bool = True) -> Wire:
    wire = Wire()
    for at in range(connections):
        upload(wire, 40000 + at, T0 + at * 500 * MS, hole=hole, points=points, start=start)
    upload(wire, 41000, T0, points=points)
    return wire


@pytest.mark.parametrize("topology", [True, False])
def test_flags_holes_that_were_acknowledged(tmp_path: Path, topology: bool) -> None:
    (found,) = findings(scene("capture"), tmp_path, RULE, *([] if topology else [None]))
    assert (found.verdict, dict(found.subject), found.count) == (Verdict.CONFIRMED, {"point": "back"}, 4)
    assert found.evidence and found.filter


def test_spares_loss_that_is_repeated(tmp_path: Path) -> None:
    assert findings(scene("network"), tmp_path, RULE) == []


def test_spares_a_capture_that_starts_in_mid_connection(tmp_path: Path) -> None:
    assert findings(scene("", start=False), tmp_path, RULE) == []


def test_doubts_what_no_other_point_shows(tmp_path: Path) -> None:
    (found,) = findings(scene("capture", points="back"), tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture


def test_doubts_a_single_hole(tmp_path: Path) -> None:
    (found,) = findings(scene("capture", 1), tmp_path, RULE)
    assert found.verdict is Verdict.UNDECIDED
