"""Ladders of real captures say what happened, to eyes and to ears."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.report.html.cases import Cases
from flowscope.report.html.view import View
from flowscope.report.markup import Element

pytestmark = pytest.mark.usefixtures("core")


def analysis(samples: Path, name: str) -> Analysis:
    return analyze([samples / name], topology=str(samples / name / "topology.toml"))


def first(samples: Path, name: str, rule: str) -> Element:
    """The first ladder of the first finding of a rule."""
    told = analysis(samples, name)
    finding = next(one for one in told.findings if one.rule == rule)
    drawn = Cases(View(told, {})).of(finding)
    assert drawn is not None
    return next(one for one in drawn.iter("svg"))


def texts(drawing: Element, kind: str) -> list[str]:
    return [one.text or "" for one in drawing.iter("text") if kind in (one.get("class") or "").split()]


def lanes(drawing: Element) -> list[str]:
    return texts(drawing, "name")


def test_hairpin(samples: Path) -> None:
    drawing = first(samples, "hairpin", "hairpin-mismatch")
    assert lanes(drawing) == ["be1", "lb_in"]
    (loop,) = texts(drawing, "loop")
    assert loop == "↩ back to be1, which had sent it: from 10.0.0.11:60568 to 10.0.0.11:8080"
    assert texts(drawing, "frame") == ["#26", "#48", "#49", "#27"]
    assert any(one.startswith("the same 5 times more") for one in texts(drawing, "again"))


def test_closed_port(samples: Path) -> None:
    drawing = first(samples, "closed-port", "closed-port")
    assert lanes(drawing) == ["203.0.113.10", "lb_out", "lb_in", "be2"]
    assert texts(drawing, "label") == ["SYN", "RST, ACK"]
    assert texts(drawing, "ending") == ["Refused: the SYN was answered by a RST."]
    assert not texts(drawing, "gone")


def test_exhaustion_stops_before_the_side_where_others_leave(samples: Path) -> None:
    drawing = first(samples, "snat-exhaustion", "snat-exhaustion")
    assert lanes(drawing)[1:3] == ["lb_in", "lb_out"]
    assert texts(drawing, "gone") == ["not seen at lb_out"]


def test_blocked_before_the_member_stops_there(samples: Path) -> None:
    drawing = first(samples, "probe-blocked-before-member", "probe-blocked")
    assert texts(drawing, "gone") == ["not seen at be2"]


def test_the_answer_that_passes_the_balancer_by(samples: Path) -> None:
    drawing = first(samples, "asymmetric-return", "asymmetric-return")
    assert lanes(drawing) == ["node3", "lb_in", "node2"]
    told = texts(drawing, "loop")
    assert told[0].startswith("↩ the answer comes from 172.21.219.56:8181; node3 had called 172.21.219.209:88")
    assert "○ not seen at lb_in" in told


@pytest.mark.parametrize(
    "name", ["hairpin", "closed-port", "idle-leak", "mtu-blackhole-route", "path-loss", "proxy-http", "half-flow"]
)
def test_every_sample_can_be_drawn(samples: Path, name: str) -> None:
    told = analysis(samples, name)
    cases = Cases(View(told, {}))
    for finding in told.findings:
        drawn = cases.of(finding)
        for drawing in drawn.iter("svg") if drawn is not None else ():
            numbers = [float(one.get(key) or 0) for one in drawing.iter() for key in ("x", "y", "x1", "x2", "y1", "y2")]
            wide, high = (float(drawing.get(key) or 0) for key in ("width", "height"))
            assert max(numbers) <= max(wide, high)
            assert min(numbers) >= 0
            # What is drawn is also said.
            said = drawing.findtext("desc") or ""
            for packet in drawing.iter("g"):
                if "packet" in (packet.get("class") or ""):
                    assert (packet.get("aria-label") or "-") in said


def test_without_a_topology_the_places_are_found_all_the_same(samples: Path) -> None:
    told = analyze([samples / "hairpin"])
    finding = next(one for one in told.findings if one.rule == "hairpin-mismatch")
    drawn = Cases(View(told, {})).of(finding)
    assert drawn is not None
    drawing = next(drawn.iter("svg"))
    assert len(lanes(drawing)) == 2
    assert texts(drawing, "loop")
