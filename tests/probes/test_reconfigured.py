"""A prober that is set up otherwise in mid-capture has two settings, and no probe is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import Analysis
from flowscope.probes.reconfigured import Setting, intervals, settings
from flowscope.report.probe_rows import notes
from tests.probes.asking import SECOND, ask, known
from tests.rules.scene import TOPOLOGY, judged, probe
from tests.wire import MS, T0, End, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
NOBODY = "10.77.0.1"


def every(seconds: float, first: float, count: int) -> list[int]:
    return [T0 + round((first + at * seconds) * SECOND) for at in range(count)]


def asked(
    wire: Wire, times: list[int], met: str = "200", path: str = "/up", port: int = 9999, source: str | None = None
) -> None:
    """Probes of both members, seen on them; the words are the first member's, the second is well."""
    for member in (0, 1):
        for number, at in enumerate(times):
            own = probe(member, (at - T0) // SECOND % 20_000 + 20_000 + 30 * member)[1]
            src: End = (source or own.src[0], own.src[1])
            hop = Hop(own.point, src, (own.dst[0], port), own.ttl, own.delay_ns)
            request = f"GET {path} HTTP/1.1\r\nHost: vm\r\n\r\n".encode()
            word = met.split()[number % len(met.split())] if member == 0 else "200"
            ask(wire, [hop], at + member * 300 * MS, word, at // MS % 2**31 + member, request=request)


def intervals_s(analysis: Analysis) -> set[float]:
    return {one.series.latest_interval_ns / SECOND for one in analysis.health}


@pytest.mark.parametrize(("old", "new"), [(2, 10), (10, 2), (2, 30), (5, 7)])
def test_two_intervals_are_two_settings(tmp_path: Path, old: int, new: int) -> None:
    wire = Wire()
    asked(wire, every(old, 0, 10) + every(new, old * 10, 8))
    analysis = judged(wire, tmp_path, None)
    assert intervals_s(analysis) == {new}
    for one in analysis.health:
        assert [setting.interval_ns for setting in one.series.settings] == [old * SECOND, new * SECOND]
        assert [change.state for change in one.timeline] == ["up"], "there was no pause"
        assert f"every {old} s" in notes(analysis, one)[0]
        assert f"then every {new} s" in notes(analysis, one)[0]


def test_what_fails_under_the_new_interval_fails_by_it(tmp_path: Path) -> None:
    wire = Wire()
    asked(wire, every(2, 0, 10))
    asked(wire, every(10, 20, 8), "200 200 200 ignore ignore ignore ignore 200")
    one = judged(wire, tmp_path, None).health[0]
    assert [change.state for change in one.timeline] == ["up", "down", "up"]
    assert one.timeline[1].time_ns == pytest.approx(T0 + 60 * SECOND, abs=SECOND // 10), "when the next was due"


def test_another_path_is_named_as_the_cause(tmp_path: Path) -> None:
    wire = Wire()
    asked(wire, every(2, 0, 10))
    asked(wire, every(2, 20, 10), "404", path="/new")
    (found,) = judged(wire, tmp_path, None).findings
    assert "fail since the prober asks for /new instead of /up" in found.summary


def test_a_path_that_failed_before_the_change_too_is_not_blamed_on_it(tmp_path: Path) -> None:
    wire = Wire()
    asked(wire, every(2, 0, 10), "503")
    asked(wire, every(2, 20, 10), "404", path="/new")
    (found,) = judged(wire, tmp_path, None).findings
    assert "instead of" not in found.summary


@pytest.mark.parametrize(("path", "port"), [("/new", 9999), ("/up", 9998)])
def test_a_topologys_prober_that_asks_otherwise_stays_a_prober(tmp_path: Path, path: str, port: int) -> None:
    wire = Wire()
    asked(wire, every(2, 0, 10), source=NOBODY)
    asked(wire, every(2, 20, 10), path=path, port=port, source=NOBODY)
    topology = known("generic").replace("168.63.129.16", NOBODY)
    analysis = judged(wire, tmp_path, topology)
    assert sum(one.sent for one in analysis.health) == 40
    assert not analysis.findings


def test_what_a_proxy_forwards_from_the_probers_address_beside_its_probes_is_none(tmp_path: Path) -> None:
    wire = Wire()
    asked(wire, every(2, 0, 20), source=NOBODY)
    asked(wire, every(2, 1, 20), path="/shop", source=NOBODY)
    analysis = judged(wire, tmp_path, known("generic").replace("168.63.129.16", NOBODY))
    assert sum(one.sent for one in analysis.health) == 40


@pytest.mark.parametrize("topology", [TOPOLOGY, known()])
def test_probes_that_go_on_at_another_port_have_not_stopped(tmp_path: Path, topology: str) -> None:
    wire = Wire()
    asked(wire, every(2, 0, 15))
    asked(wire, every(2, 30, 15), port=9998)
    assert not judged(wire, tmp_path, topology).findings


def test_they_have_stopped_where_the_other_member_goes_on(tmp_path: Path) -> None:
    wire = Wire()
    asked(wire, every(2, 0, 30))
    wire.frames["a"] = [one for one in wire.frames["a"] if one[0] < T0 + 30 * SECOND]
    accept(wire, [Hop("a", ("10.4.4.4", 4000), ("10.1.0.4", 22))], T0 + 59 * SECOND)
    (found,) = judged(wire, tmp_path).findings
    assert found.title == "Probes of vm-a on port 9999 stop arriving"


def test_late_and_missing_probes_are_no_other_setting() -> None:
    times = every(2, 0, 40)
    times[10] += 900 * MS
    assert settings(times, [None] * 40) == ()
    assert settings([at for number, at in enumerate(times) if number not in (5, 6, 7, 20, 22, 24)], [None] * 34) == ()
    assert intervals(times) is None


def test_uneven_calls_have_no_setting() -> None:
    assert settings([T0 + at * SECOND for at in (0, 1, 5, 6, 9, 17, 18, 30, 31, 45)], [None] * 10) == ()


def test_paths_in_turn_are_one_setting() -> None:
    assert settings(every(2, 0, 20), ["/a", "/b"] * 10) == ()


def test_pace_and_path_that_change_together_are_one_change() -> None:
    times = every(2, 0, 10) + every(5, 20, 10)
    first, second = settings(times, ["/a"] * 10 + ["/b"] * 10)
    assert first == Setting(times[0], times[9], 2 * SECOND, "/a")
    assert second == Setting(times[10], times[-1], 5 * SECOND, "/b")


def test_about_a_change_the_longer_interval_counts() -> None:
    times = every(2, 0, 6) + every(10, 12, 6)
    assert intervals(times) == [2 * SECOND] * 6 + [10 * SECOND] * 6
