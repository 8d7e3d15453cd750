"""path-loss: repeats at one point of what the next never saw; holes of a capture and loss farther on are none."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from flowscope.findings import Verdict
from flowscope.rules.path_loss import seldom
from tests.rules.scene import call, findings
from tests.wire import ACK, FIN, MS, PSH, RST, SYN, T0, Wire

pytestmark = pytest.mark.usefixtures("core")
RULE = "path-loss"


def upload(
    wire: Wire, port: int, at: int, isn: int, *, upto: int | None, again: bool = True, hole: bool = False,
    missed: bool = False,
) -> None:  # fmt: skip
    """Five segments; of the third only the first ``upto`` points see the first copy.

    ``hole``: the middle point's capture misses the second one; ``missed``: it misses the third one's first copy.
    """
    hops = call(0, port)
    wire.packet(hops, at, SYN, isn)
    wire.packet(hops, at + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, 9001)
    for part in range(5):
        lost = part == 2
        seen = hops[::2] if (hole and part == 1) or (missed and lost) else hops
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


def request(wire: Wire, port: int, at: int, isn: int, *, lost: bool, answer_lost: bool = False) -> int:
    """Handshake and request; what is ``lost`` is sent four more times and never gets past the first point after it."""
    hops, said, reply = call(0, port), b"q" * 78, b"r" * 86
    wire.packet(hops, at, SYN, isn)
    wire.packet(hops, at + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, 9001)
    wire.packet(hops, at + 3 * MS, PSH | ACK, isn + 1, 9001, said, upto=2 if lost else None)
    for pause in (200, 600, 1400, 3000) if lost else ():
        wire.packet(hops, at + pause * MS, PSH | ACK, isn + 1, 9001, said, upto=2)
    if lost:
        return at + 3000 * MS
    wire.packet(hops, at + 4 * MS, ACK, 9001, isn + 79, back=True)
    for pause in (5, 205, 605, 1405, 3005) if answer_lost else (5,):
        wire.packet(hops, at + pause * MS, PSH | ACK, 9001, isn + 79, reply, back=True, upto=1 if answer_lost else None)
    return at + 3005 * MS


def test_flags_requests_of_which_not_one_arrives_although_the_member_is_quiet_then(tmp_path: Path) -> None:
    """The client's FIN is the last that is seen, and at the member's point nothing is: its capture ended before."""
    wire = Wire()
    for at in range(4):
        isn = 60_000 * at + 7
        last = request(wire, 40000 + at, T0 + at * 100 * MS, isn, lost=True)
        wire.packet(call(0, 40000 + at), last + 3000 * MS, FIN | ACK, isn + 79, 9001, upto=2)
        request(wire, 41000 + at, T0 + at * 900 * MS, isn + 30_000, lost=False)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.subject["points"], found.count) == (Verdict.CONFIRMED, ["back", "a"], 4)


def test_flags_answers_that_never_arrive_at_the_next_point_although_the_end_does(tmp_path: Path) -> None:
    """The FIN behind the lost answer shows a hole there, which nobody acknowledges: it is no hole of the capture."""
    wire = Wire()
    for at in range(4):
        isn = 60_000 * at + 7
        last = request(wire, 40000 + at, T0 + at * 100 * MS, isn, lost=False, answer_lost=True)
        hops = call(0, 40000 + at)
        wire.packet(hops, last + 900 * MS, FIN | ACK, isn + 79, 9001)
        wire.packet(hops, last + 901 * MS, FIN | ACK, 9087, isn + 80, back=True)
        wire.packet(hops, last + 902 * MS, RST, isn + 80)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.subject["points"], found.count) == (Verdict.CONFIRMED, ["a", "back"], 4)


def test_spares_loss_beyond_the_last_point(tmp_path: Path) -> None:
    assert findings(scene(upto=None), tmp_path, RULE) == []


def test_spares_holes_of_a_capture_that_nobody_had_to_fill(tmp_path: Path) -> None:
    assert findings(scene(upto=1, again=False), tmp_path, RULE) == []


def test_spares_one_lost_segment(tmp_path: Path) -> None:
    assert findings(scene(1), tmp_path, RULE) == []


def test_flags_two_lost_segments_of_few_as_likely(tmp_path: Path) -> None:
    (found,) = findings(scene(2), tmp_path, RULE)
    assert (found.verdict, found.subject["points"], found.count) == (Verdict.LIKELY, ["front", "back"], 2)


def test_spares_two_lost_segments_of_many(tmp_path: Path) -> None:
    wire = scene(2)
    for at in range(40):
        upload(wire, 45000 + at, T0 + (5 + at) * 500 * MS, 70_000 * at + 9, upto=None, again=False)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_losses_that_the_holes_of_the_capture_explain(tmp_path: Path) -> None:
    wire = Wire()
    # Every third segment came twice, at every point; the middle one's capture misses what it misses elsewhere too.
    for at in range(12):
        upload(
            wire, 40000 + at, T0 + at * 500 * MS, 50_000 * at + 7, upto=None, hole=at % 2 == 0, missed=at % 3 == 0
        )  # fmt: skip
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.subject["points"]) == (Verdict.UNDECIDED, ["front", "back"])
    assert any("holes of its own" in caveat for caveat in found.caveats)


def test_flags_losses_that_a_few_holes_do_not_explain_as_likely(tmp_path: Path) -> None:
    wire = scene(8)
    upload(wire, 45000, T0 + 5000 * MS, 9, upto=1, hole=True)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.count) == (Verdict.LIKELY, 9)


@pytest.mark.parametrize(("count", "expected"), [(1, 0.02), (2, 0.066), (5, 1.2), (40, 21.0)])
def test_chance_is_that_of_poisson(count: int, expected: float) -> None:
    fewer = sum(math.exp(-expected) * expected**n / math.factorial(n) for n in range(count))
    assert seldom(count, expected) == pytest.approx(1 - fewer, rel=1e-6)


def test_chance_explains_what_is_expected_and_nothing_where_nothing_is() -> None:
    assert (seldom(3, 3.0), seldom(2, 0.0), seldom(0, 0.0)) == (1.0, 0.0, 1.0)


def test_doubts_a_capture_that_has_holes_of_its_own(tmp_path: Path) -> None:
    wire = scene()
    for at in range(3):
        upload(wire, 45000 + at, T0 + at * 500 * MS, 70_000 * at + 9, upto=None, again=False, hole=True)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture
