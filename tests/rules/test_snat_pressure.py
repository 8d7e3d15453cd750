"""snat-pressure: more than three quarters of known ports; ports that serve many destinations are not used up."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from flowscope.findings import Severity, Verdict
from tests.rules.outbound import SERVER, SNAT, START, TOPOLOGY, hold, way
from tests.rules.scene import findings
from tests.wire import MS, Wire, ignore

pytestmark = pytest.mark.usefixtures("core")
RULE = "snat-pressure"
SECOND = 1_000 * MS


def busy(wire: Wire, ports: int, points: str = "in out") -> None:
    for at in range(ports):
        hold(wire, way(40000 + at, 1024 + at, points=points), START + at * MS, 1000 * at, 5)


def test_flags_eight_of_ten_ports(tmp_path: Path) -> None:
    wire = Wire()
    busy(wire, 8)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert (found.verdict, found.severity) == (Verdict.CONFIRMED, Severity.WARNING)
    assert dict(found.subject) == {"snat": SNAT, "destination": "198.51.100.10:443"}
    assert (found.facts["ports_available"], found.facts["ports_peak"], found.count) == (10, 8, 8)
    assert "80%" in found.title


def test_flags_ports_held_after_the_close(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(9):
        hold(wire, way(40000 + at, 1024 + at), START + at * SECOND, 1000 * at, 0.1)
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY + "fin_hold_s = 65\n")
    assert found.facts["ports_peak"] == 9


def test_spares_three_quarters_and_less(tmp_path: Path) -> None:
    wire = Wire()
    busy(wire, 7)
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_spares_the_same_ports_towards_many_destinations(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(30):
        server = (f"198.51.100.{10 + at % 6}", 443)
        hold(wire, way(40000 + at, 1024 + at // 6, server), START + at * MS, 1000 * at, 5)
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_spares_ports_whose_number_nobody_gave(tmp_path: Path) -> None:
    wire = Wire()
    busy(wire, 10)
    assert findings(wire, tmp_path, RULE, None) == []


def test_doubts_a_number_of_ports_that_random_ones_bound(tmp_path: Path) -> None:
    """Ports given at random fill their range: so many of them leave few."""
    wire = Wire()
    for at, port in enumerate(random.Random(3).sample(range(2000, 2048), 46)):
        hold(wire, way(40000 + at, port), START + at * MS, 1000 * at, 5)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.verdict is Verdict.LIKELY
    assert 46 <= int(str(found.facts["ports_available"])) <= 58
    assert any("given at random" in caveat for caveat in found.caveats)


def test_spares_ports_given_in_order_whose_number_nobody_gave(tmp_path: Path) -> None:
    wire = Wire()
    busy(wire, 46)
    assert findings(wire, tmp_path, RULE, None) == []


def test_spares_what_has_failed_already(tmp_path: Path) -> None:
    wire = Wire()
    busy(wire, 10)
    for at in range(4):
        ignore(wire, way(41000 + at, 1, points="in"), START + SECOND + at * MS, 700_000 + 1000 * at, tries=3)
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_doubts_what_only_the_inside_shows(tmp_path: Path) -> None:
    wire = Wire()
    busy(wire, 8, "in")
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture
    assert SERVER[0] in found.next_capture


def test_flags_ports_that_only_the_outside_shows(tmp_path: Path) -> None:
    wire = Wire()
    busy(wire, 9, "out")
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert (found.verdict, found.facts["ports_peak"]) == (Verdict.CONFIRMED, 9)
    assert "shows only inside" in found.summary and "used by" not in found.summary
    assert findings(wire, tmp_path, RULE, None) == []


def test_spares_ports_of_a_host_that_is_no_translator(tmp_path: Path) -> None:
    """The topology's address stands elsewhere."""
    wire = Wire()
    busy(wire, 9, "out")
    assert findings(wire, tmp_path, RULE, TOPOLOGY.replace(SNAT, "203.0.113.99")) == []
