"""Probes over time, from captures: who was down when, and every probe."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.report.html.probes import section
from flowscope.report.html.tables import section as routes
from flowscope.report.html.view import View
from tests.traffic import balanced

pytestmark = pytest.mark.usefixtures("core")


@pytest.fixture(scope="module")
def down(samples: Path) -> Analysis:
    folder = samples / "probes-all-down-closed"
    return analyze([folder], topology=str(folder / "topology.toml"))


def test_a_line_for_every_member_with_all_of_its_probes(down: Analysis) -> None:
    made = section(View(down, {}))
    assert made is not None
    lines = [one for one in made.iter("g") if one.get("class") == "member-line"]
    assert len(lines) == len(down.health) == 3
    for line, health in zip(sorted(lines, key=lambda one: one.get("aria-label") or ""), down.health, strict=True):
        marks = [one.get("class") for one in line.iter()]
        assert marks.count("bad-probe") == health.failed.height
        assert marks.count("good-probe") == health.succeeded
        assert "state down" in marks
        assert "status 503" in (line.get("aria-label") or "") or "down from" in (line.get("aria-label") or "")


def test_states_lie_side_by_side(down: Analysis) -> None:
    made = section(View(down, {}))
    assert made is not None
    for line in made.iter("g"):
        states = [one for one in line if (one.get("class") or "").startswith("state")]
        ends = [(float(one.get("x") or 0), float(one.get("width") or 0)) for one in states]
        for (x, width), (next_x, _) in pairwise(ends):
            assert x + width == pytest.approx(next_x, abs=0.1)


def test_without_probes_there_is_no_section() -> None:
    assert section(View(balanced(), {})) is None


def test_the_pool_is_down_while_all_of_its_members_are(down: Analysis) -> None:
    made = section(View(down, {}))
    assert made is not None
    (pool,) = (one for one in made.iter("g") if one.get("class") == "pool-line")
    together = [one for one in pool if one.get("class") == "state down"]
    assert len(together) == 1
    begin = float(together[0].get("x") or 0)
    end = begin + float(together[0].get("width") or 0)
    for line in made.iter("g"):
        if line.get("class") == "member-line":
            (own,) = (one for one in line if one.get("class") == "state down")
            assert float(own.get("x") or 0) <= begin + 0.1
            assert float(own.get("x") or 0) + float(own.get("width") or 0) >= end - 0.1


def test_a_route_of_failed_probes_is_not_called_established(down: Analysis) -> None:
    made = routes(View(down, {}))
    assert made is not None
    cells = ["".join(one.itertext()) for one in made.iter("td")]
    assert any(cell.endswith(" established, then failed") for cell in cells)
    assert not any(cell.endswith(" established") for cell in cells)
