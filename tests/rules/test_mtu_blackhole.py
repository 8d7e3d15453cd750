"""mtu-blackhole: large segments repeated in vain while small ones pass; loss, offload and dead peers are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import call, findings
from tests.wire import ACK, MS, PSH, RST, SYN, T0, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
RULE = "mtu-blackhole"
LARGE = b"x" * 1448


def upload(wire: Wire, port: int, at: int, isn: int, *, through: str = "", points: str = "front back host") -> None:
    """A handshake, then a large segment that gets no farther than the first point, with its repeats."""
    hops = call(0, port, points=points)
    wire.packet(hops, at, SYN, isn)
    wire.packet(hops, at + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, 9001)
    for delay in (3, 203, 603, 1403, 3003):
        sent = at + delay * MS
        wire.packet(hops, sent, ACK, isn + 1, 9001, LARGE, upto=1)
        if through == "told":
            wire.icmp_error(hops[:1], sent + MS, "203.0.113.9", 3, 4, isn + 1)
    if through == "at last":
        wire.packet(hops, at + 6000 * MS, ACK, isn + 1, 9001, LARGE)
        wire.packet(hops, at + 6001 * MS, ACK, 9001, isn + 1449, back=True)
    if through == "dead":
        wire.packet(hops, at + 6000 * MS, RST, 9001, back=True)


def test_flags_a_large_segment_whose_small_rest_arrived(tmp_path: Path) -> None:
    """The end of the upload fits the link: the points behind have a hole where the large segment belongs."""
    wire = scene()
    for at in range(3):
        isn = 50_000 * at + 7
        wire.packet(call(0, 40000 + at), T0 + at * 20 * MS + 4 * MS, ACK | PSH, isn + 1449, 9001, b"y" * 300)
        wire.packet(call(0, 40000 + at), T0 + at * 20 * MS + 5 * MS, ACK, 9001, isn + 1, back=True)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.count) == (Verdict.CONFIRMED, 3)
    assert "never seen at" in found.summary and "back" in found.summary


def scene(uploads: int = 3, **options: str) -> Wire:
    wire = Wire()
    for at in range(uploads):
        upload(wire, 40000 + at, T0 + at * 20 * MS, 50_000 * at + 7, **options)
    for at in range(4):
        small = call(at % 2, 41000 + at, points=options.get("points", "front back host"))
        accept(wire, small, T0 + at * 1000 * MS, isn=90_000 * at + 3)
    return wire


@pytest.mark.parametrize("topology", [True, False])
def test_flags_large_segments_that_never_arrive(tmp_path: Path, topology: bool) -> None:
    (found,) = findings(scene(), tmp_path, RULE, *([] if topology else [None]))
    assert (found.verdict, found.count) == (Verdict.CONFIRMED, 3)
    assert "1,448 bytes" in found.summary and "back" in found.summary


def test_flags_an_icmp_error_that_the_sender_ignores(tmp_path: Path) -> None:
    (found,) = findings(scene(1, through="told"), tmp_path, RULE)
    assert found.verdict is Verdict.CONFIRMED
    assert found.facts == {"icmp_type": 3, "icmp_code": 4}


def test_the_key_names_the_service_and_not_the_path_of_this_run(tmp_path: Path) -> None:
    (first,) = findings(scene(), tmp_path, RULE)
    wire = scene()
    for at in range(5):
        accept(wire, call(1, 42000 + at), T0 - (5 - at) * 900 * MS, isn=70_000 * at + 11)
    (second,) = findings(wire, tmp_path, RULE)
    assert first.subject["path"] == str(first.paths[0]) != second.subject["path"]
    assert first.key == second.key == "mtu-blackhole path=to-203.0.113.9:443"


def test_spares_loss_that_a_repeat_heals(tmp_path: Path) -> None:
    assert findings(scene(through="at last"), tmp_path, RULE) == []


def test_spares_a_peer_that_resets(tmp_path: Path) -> None:
    assert findings(scene(through="dead"), tmp_path, RULE) == []


def test_spares_a_way_on_which_as_large_segments_pass(tmp_path: Path) -> None:
    wire = scene()
    hops = call(0, 45000)
    wire.packet(hops, T0, SYN, 77)
    wire.packet(hops, T0 + MS, SYN | ACK, 5, 78, back=True)
    wire.packet(hops, T0 + 2 * MS, PSH | ACK, 78, 6, LARGE)
    wire.packet(hops, T0 + 3 * MS, ACK, 6, 78 + 1448, back=True)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_super_segments_of_offload(tmp_path: Path) -> None:
    wire = Wire()
    hops = call(0, 40000)
    wire.packet(hops, T0, SYN, 7)
    wire.packet(hops, T0 + MS, SYN | ACK, 5, 8, back=True)
    wire.packet(hops[:2], T0 + 2 * MS, PSH | ACK, 8, 6, b"x" * 5792)
    for part in range(4):
        wire.packet(hops[2:], T0 + 2 * MS, ACK, 8 + 1448 * part, 6, LARGE)
    wire.packet(hops, T0 + 4 * MS, ACK, 6, 8 + 5792, back=True)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_without_a_point_behind_the_loss(tmp_path: Path) -> None:
    (found,) = findings(scene(points="front"), tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture
