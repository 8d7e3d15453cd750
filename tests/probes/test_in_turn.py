"""Probes for several paths in turn are as many series, each with its own pace."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.probes.reconfigured import in_turn
from tests.probes.asking import SECOND, ask, known
from tests.rules.scene import judged, probe
from tests.wire import MS, T0, Wire

pytestmark = pytest.mark.usefixtures("core")


def asked(*scripts: tuple[str, str]) -> Wire:
    """One member that is asked every five seconds for each path, 1.2 s after the other; another that is well."""
    wire = Wire()
    for member in (0, 1):
        for turn, (path, script) in enumerate(scripts):
            for number, met in enumerate(script.split()):
                hops = probe(member, 40_000 + 1000 * turn + 2 * number + member)
                request = f"GET {path} HTTP/1.1\r\nHost: vm\r\n\r\n".encode()
                when = T0 + number * 5 * SECOND + turn * 1200 * MS + member * 300 * MS
                isn = 1000 * number + 500_000 * turn + 100 * member + 5
                ask(wire, hops, when, met if member == 0 else "200", isn, request=request, patient_ms=4900)
    return wire


@pytest.mark.parametrize("met", ["503", "hang", "refuse"])
def test_each_path_has_its_own_state(tmp_path: Path, met: str) -> None:
    wire = asked(("/a", "200 " * 12), ("/b", "200 " * 5 + f"{met} " * 4 + "200 " * 3))
    analysis = judged(wire, tmp_path, None)
    first = [one for one in analysis.health if one.series.member == analysis.health[0].series.member]
    assert [(one.series.wants, one.sent, one.succeeded) for one in first] == [("/a", 12, 12), ("/b", 12, 8)]
    assert {one.series.interval_ns for one in analysis.health} == {5 * SECOND}
    assert [[change.state for change in one.timeline] for one in first] == [["up"], ["up", "down", "up"]]
    (found,) = analysis.findings
    assert "4 of 12 probes of 168.63.129.16 for /b to" in found.summary
    assert "Probes of 168.63.129.16 for /a were good" in found.summary


def test_silence_is_judged_by_the_paths_own_deadline(tmp_path: Path) -> None:
    wire = asked(("/a", "200 " * 12), ("/b", "200 " * 5 + "hang " * 4 + "200 " * 3))
    one = judged(wire, tmp_path, None).health[1]
    assert one.timeline[1].time_ns == pytest.approx(T0 + 26_200 * MS + 4_900 * MS, abs=200 * MS)


def test_a_topologys_path_tells_whose_it_is(tmp_path: Path) -> None:
    topology = known().replace('path = "/up"', 'path = "/b"').replace("interval_s = 1\n", "interval_s = 5\n")
    analysis = judged(asked(("/a", "200 " * 12), ("/b", "200 " * 12)), tmp_path, topology)
    assert {one.series.wants: one.series.probe is not None for one in analysis.health}["/b"]


def test_what_is_asked_once_or_changes_is_not_in_turn() -> None:
    assert in_turn(["/a", "/b"] * 5)
    assert not in_turn(["/a"] * 5 + ["/b"] * 5), "a change"
    assert not in_turn(["/a"] * 9 + ["/b"] + ["/a"] * 9)
    assert not in_turn([f"/a?{number}" for number in range(40)])
    assert not in_turn([None] * 10)
