"""frontend-unanswered: SYNs that never leave the balancer; what a nearer rule explains is not repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import FRONTEND, MEMBERS, call, findings
from tests.wire import MS, T0, Hop, Wire, accept, ignore

pytestmark = pytest.mark.usefixtures("core")
RULE = "frontend-unanswered"
SECOND = 1_000_000_000


def outage(calls: int = 4, tries: int = 3) -> Wire:
    """Served before and after; in between SYNs are seen before the balancer only."""
    wire = Wire()
    for at in (0, 60):
        for member in (0, 1):
            accept(wire, call(member, 41000 + at + member), T0 + at * SECOND, isn=70_000 * (at + member) + 5)
    for at in range(calls):
        ignore(wire, call(0, 42000 + at, points="front"), T0 + (20 + at) * SECOND, isn=9_000 * at + 1, tries=tries)
    return wire


@pytest.mark.parametrize("topology", [True, False])
def test_flags_syns_that_never_leave_the_balancer(tmp_path: Path, topology: bool) -> None:
    (found,) = findings(outage(), tmp_path, RULE, *([] if topology else [None]))
    assert (found.verdict, found.count) == (Verdict.CONFIRMED, 4)
    assert dict(found.subject) == {"frontend": "203.0.113.9:443"}
    assert "back" in found.summary


@pytest.mark.parametrize("behind", [True, False])
def test_flags_icmp_of_a_router_that_lets_nothing_through(tmp_path: Path, behind: bool) -> None:
    wire = outage(0) if behind else Wire()
    for at in range(4):
        hops = call(0, 42000 + at, points="front")
        ignore(wire, hops, T0 + (20 + at) * SECOND, isn=9_000 * at + 1, tries=1)
        wire.icmp_error(hops, T0 + (20 + at) * SECOND + MS, "203.0.113.1", 3, 13, 9_000 * at + 1)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.count) == (Verdict.CONFIRMED if behind else Verdict.LIKELY, 4)
    assert (found.facts["how"], found.facts["icmp_type"], found.facts["icmp_code"]) == ("icmp", 3, 13)
    assert "ICMP 3/13 from 203.0.113.1" in found.summary


def test_a_member_alone_does_not_show_that_nothing_went_behind_the_balancer(tmp_path: Path) -> None:
    """Without the pool's list the silent member may be another one."""
    wire = Wire()
    for at in (0, 60):
        accept(wire, call(0, 41000 + at, points="front host"), T0 + at * SECOND, isn=70_000 * at + 5)
    for at in range(4):
        ignore(wire, call(0, 42000 + at, points="front"), T0 + (20 + at) * SECOND, isn=9_000 * at + 1, tries=3)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.verdict is Verdict.LIKELY


def test_a_point_that_sees_answers_only_shows_nothing_of_what_went_behind_the_balancer(tmp_path: Path) -> None:
    wire = outage()
    for name in ("a", "b"):
        del wire.frames[name]
    answers = MEMBERS[0][1].to_bytes(2, "big")
    wire.frames["back"] = [one for one in wire.frames["back"] if one[1][34:36] == answers]
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert any("No point behind the balancer" in caveat for caveat in found.caveats)


def test_calls_that_a_translator_changed_before_the_balancer_count(tmp_path: Path) -> None:
    wire = outage(0)
    for at in range(4):
        inside = Hop("lan", ("192.168.7.20", 30000 + at), FRONTEND, 64, 10_000, 62)
        hops = [inside, *call(0, 42000 + at, "198.51.100.9", points="front")]
        ignore(wire, hops, T0 + (20 + at) * SECOND, isn=9_000 * at + 1, tries=3)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.count) == (Verdict.CONFIRMED, 4)
    assert found.title == "Calls of 192.168.7.20 to 203.0.113.9:443 go unanswered"


@pytest.mark.parametrize(("points", "verdict"), [("front back host", "likely"), ("front host", "undecided")])
def test_flags_one_client_alone_where_a_point_behind_the_balancer_shows_it(
    tmp_path: Path, points: str, verdict: str
) -> None:
    """Members' own points leave open whether it was dropped on the way to them."""
    wire = Wire()
    for at in range(4):
        hops = call(0, 42000 + at, "198.51.100.9", points="front")
        ignore(wire, hops, T0 + (20 + at) * SECOND, isn=9_000 * at + 1)
    for at in range(16):
        times = T0 + (12 + at) * SECOND
        accept(wire, call(at % 2, 43000 + at, points=points), times, isn=50_000 * at + 3)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict.value, found.count) == (verdict, 4)
    assert found.title == "Calls of 198.51.100.9 to 203.0.113.9:443 go unanswered"
    assert "those of others were" in found.summary


def test_spares_what_a_nearer_rule_explains(tmp_path: Path) -> None:
    wire = outage(0)
    for at in range(4):
        ignore(wire, call(0, 42000 + at), T0 + (20 + at) * SECOND, isn=9_000 * at + 1, upto=2)
    assert findings(wire, tmp_path, RULE) == []
    assert findings(wire, tmp_path, "blocked-traffic")


def test_spares_syns_at_the_end_of_the_capture(tmp_path: Path) -> None:
    wire = outage(0)
    for at in range(4):
        ignore(wire, call(0, 42000 + at, points="front"), T0 + 60 * SECOND + at * MS, isn=9_000 * at + 1, tries=1)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_hosts_that_are_no_frontend(tmp_path: Path) -> None:
    wire = outage(0)
    for at in range(4):
        ignore(wire, [Hop("front", ("198.51.100.7", 42000 + at), ("192.0.2.5", 443), 61)], T0, isn=9_000 * at + 1)
    assert findings(wire, tmp_path, RULE, None) == []


def test_doubts_without_a_point_behind_the_balancer(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(4):
        ignore(wire, [Hop("front", ("198.51.100.7", 42000 + at), FRONTEND, 61)], T0 + at * SECOND, isn=9_000 * at + 1)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY and found.next_capture is not None


def test_doubts_when_as_many_calls_were_served_meanwhile(tmp_path: Path) -> None:
    wire = outage(2)
    for at in range(6):
        accept(wire, call(0, 43000 + at), T0 + 20 * SECOND + at * 100 * MS, isn=50_000 * at + 3)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("tries", [1, 3])
def test_doubts_a_flood_that_the_balancer_swallows(tmp_path: Path, tries: int) -> None:
    """Senders by the dozen that never repeat their SYN want no answer, and balancers drop them by design."""
    wire = outage(0)
    for at in range(30):
        hops = call(0, 42000, f"198.51.100.{40 + at}", points="front")
        ignore(wire, hops, T0 + 20 * SECOND + at * MS, isn=9_000 * at + 1, tries=tries)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.count, found.verdict) == (30, Verdict.UNDECIDED if tries == 1 else Verdict.CONFIRMED)
