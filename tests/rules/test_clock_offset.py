"""clock-offset: a clock that is minutes off is said; delay on the way and clocks that agree are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.findings import Verdict
from tests.rules.scene import MEMBERS, call, findings
from tests.wire import MS, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
RULE = "clock-offset"


def scene(clock_ns: int = 0) -> Wire:
    wire = Wire(clock_ns={"a": clock_ns})
    for at in range(6):
        accept(wire, call(0, 40000 + at), T0 + at * 100 * MS, isn=9_000 * at + 3, answer=7_000 * at + 5)
    return wire


@pytest.mark.parametrize("topology", [True, False])
@pytest.mark.parametrize("clock_ns", [300_000 * MS, -2_500 * MS])
def test_flags_a_clock_that_is_off(tmp_path: Path, clock_ns: int, topology: bool) -> None:
    (found,) = findings(scene(clock_ns), tmp_path, RULE, *([] if topology else [None]))
    assert (found.verdict, dict(found.subject)) == (Verdict.CONFIRMED, {"point": "a"})
    assert found.facts["offset_ns"] == pytest.approx(-clock_ns, abs=1 * MS)
    assert ("ahead" if clock_ns > 0 else "behind") in found.title


@pytest.mark.parametrize("ppm", [0, 60, -60])
def test_a_drift_is_told_where_no_steady_clock_would_do(tmp_path: Path, ppm: int) -> None:
    wire = Wire()
    # The scene's points stand some microseconds apart, and 60 ppm make 360 of them in six seconds.
    for at in range(7):
        wire.clock_ns["a"] = 300_000 * MS + at * 1_000 * ppm
        accept(wire, call(0, 40000 + at), T0 + at * 1_000 * MS, isn=9_000 * at + 3, answer=7_000 * at + 5)
    (found,) = findings(wire, tmp_path, RULE)
    said = {0: "ppm" not in found.summary, 60: "ppm fast" in found.summary, -60: "ppm slow" in found.summary}
    assert said[ppm], found.summary
    assert found.facts["skew_ppm"] == pytest.approx(-ppm, abs=40)


@pytest.mark.parametrize("ahead_ns", [0, 5_000 * MS])
@pytest.mark.parametrize("points", ["front back host", "front host"])
def test_a_clock_that_was_set_is_told_with_the_syns_around_that(tmp_path: Path, ahead_ns: int, points: str) -> None:
    wire = Wire(clock_ns={"a": ahead_ns})
    for at in range(30):
        wire.clock_ns["a"] = ahead_ns + (3_000 * MS if at >= 15 else 0)
        accept(wire, call(0, 40000 + at, points=points), T0 + at * 300 * MS, isn=9_000 * at + 3, answer=7_000 * at + 5)
    (found,) = findings(wire, tmp_path, RULE)
    assert "was set 3.000 s forward" in found.title
    assert ("is 5.000 s ahead" in found.title) is bool(ahead_ns)
    assert found.facts["steps"] == 1
    assert found.facts["step_ns"] == pytest.approx(3_000 * MS, abs=MS)
    around = [found.facts["step_after_ns"], found.facts["step_before_ns"]]
    assert around == pytest.approx([T0 + 14 * 300 * MS + ahead_ns, T0 + 15 * 300 * MS + ahead_ns + 3_000 * MS], abs=MS)
    assert set(around) <= {item.time_ns for item in found.evidence}
    # Of two clocks alone nothing tells which was set.
    assert found.verdict is (Verdict.CONFIRMED if "back" in points else Verdict.LIKELY)


def test_a_clock_that_was_set_back_makes_what_is_told_of_clocks_likely(tmp_path: Path) -> None:
    wire = Wire(clock_ns={"a": 5_000 * MS})
    for at in range(30):
        accept(wire, call(0, 40000 + at), T0 + at * 300 * MS, isn=9_000 * at + 3, answer=7_000 * at + 5)
    files = wire.write(tmp_path)
    member = tmp_path / "a.pcap"
    data = member.read_bytes()
    # The records behind the file's header once more: their times begin anew.
    member.write_bytes(data + data[24:])
    (found,) = (one for one in analyze(files).findings if one.rule == RULE)
    assert found.verdict is Verdict.LIKELY
    assert "set back" in found.caveats[0]
    assert "steps" not in found.facts


@pytest.mark.parametrize("tick_ns", [10 * MS, 15_625_000])
def test_spares_a_clock_that_is_coarse(tmp_path: Path, tick_ns: int) -> None:
    wire = Wire()
    for at in range(12):
        accept(wire, call(0, 40000 + at), T0 + 6 * MS + at * 1_000 * MS, isn=9_000 * at + 3, answer=7_000 * at + 5)
    # Every time there is what the clock showed at its last tick, here always 6 ms before.
    wire.frames["a"] = [(at - at % tick_ns, frame, length) for at, frame, length in wire.frames["a"]]
    assert findings(wire, tmp_path, RULE) == []


def test_spares_clocks_that_agree(tmp_path: Path) -> None:
    assert findings(scene(), tmp_path, RULE) == []


def test_spares_a_long_way(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(6):
        src = ("198.51.100.7", 40000 + at)
        hops = [Hop("front", src, MEMBERS[0], 61, 100_000), Hop("far", src, MEMBERS[0], 60, 80 * MS)]
        accept(wire, hops, T0 + at * 900 * MS, isn=9_000 * at + 3, answer=7_000 * at + 5)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_an_offset_of_the_size_of_the_delay(tmp_path: Path) -> None:
    wire = Wire(clock_ns={"far": 400 * MS})
    for at in range(6):
        src = ("198.51.100.7", 40000 + at)
        hops = [Hop("front", src, MEMBERS[0], 61, 100_000), Hop("far", src, MEMBERS[0], 60, 80 * MS)]
        accept(wire, hops, T0 + at * 900 * MS, isn=9_000 * at + 3, answer=7_000 * at + 5)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
