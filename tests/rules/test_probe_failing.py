"""probe-failing: how a member answers its probes, and which answers are no failure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.probes.asking import REQUEST, SECOND, ask, known, rounds
from tests.rules.scene import FRONTEND, call, findings, probe
from tests.wire import FIN, RST, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
RULE = "probe-failing"


@pytest.mark.parametrize("topology", [known(), None])
@pytest.mark.parametrize(
    ("met", "how", "status"),
    [
        ("503", "status", 503),
        ("302", "redirect", 302),
        ("403", "auth", 403),
        ("hang", "timeout", None),
        ("slow", "slow", None),
        ("garbage", "invalid", None),
    ],
)
def test_flags_each_way_to_fail(tmp_path: Path, met: str, how: str, status: int | None, topology: str | None) -> None:
    wire = Wire()
    rounds(wire, ["200", met, met, met, "200"], ["200"] * 5)
    (found,) = findings(wire, tmp_path, RULE, topology)
    assert dict(found.subject) == {"member": "10.1.0.4:9999"}
    assert (found.facts["how"], found.facts.get("status"), found.count) == (how, status, 3)
    assert found.verdict is Verdict.CONFIRMED
    assert found.evidence


@pytest.mark.parametrize(("ports", "told"), [((9443,), True), ((9443, 9080), False)])
@pytest.mark.parametrize("topology", [known(), None])
def test_says_that_the_service_works_only_of_the_one_that_is_probed(
    tmp_path: Path, ports: tuple[int, ...], told: bool, topology: str | None
) -> None:
    """A member of two services: without a topology nobody knows which of them the probe is about."""
    wire = Wire()
    rounds(wire, ["200", *["503"] * 6, "200"], ["200"] * 8)
    for at in range(12):
        port = ports[at % len(ports)]
        hops = [replace(hop, dst=("10.1.0.4", port)) if hop.point != "front" else hop for hop in call(0, 30000 + at)]
        front = [replace(hop, dst=(FRONTEND[0], port - 9000)) if hop.point == "front" else hop for hop in hops]
        accept(wire, front, T0 + at * SECOND // 2, isn=7_000_000 + 1000 * at, answer=9_000_000 + 1000 * at)
    (found,) = findings(wire, tmp_path, RULE, topology)
    assert ("the service itself works" in found.summary) == (told or topology is not None)


def test_flags_a_refusal_at_the_members_own_interface(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200", "refuse", "refuse", "refuse"])
    (found,) = findings(wire, tmp_path, RULE, known())
    assert (found.facts["how"], found.verdict) == ("refused", Verdict.CONFIRMED)
    # The same frames explain no closed port: probes have findings of their own.
    assert findings(wire, tmp_path, "closed-port", known()) == []


@pytest.mark.parametrize("close", [FIN, RST])
def test_spares_good_probes_however_they_close(tmp_path: Path, close: int) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 5, ["tcp"] * 5, close=close)
    assert findings(wire, tmp_path, RULE, None) == []


def test_spares_a_failure_that_took_nobody_down(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200", "200", "503", "200", "200"])
    assert findings(wire, tmp_path, RULE, known("generic")) == []


def test_spares_a_members_own_calls_to_the_platform(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(4):
        hops = [Hop("a", ("10.1.0.4", 50000 + at), ("168.63.129.16", 80), 64)]
        ask(wire, hops, T0 + at * SECOND, "503", 1000 * at)
    assert findings(wire, tmp_path, RULE, None) == []


def test_doubts_a_refusal_seen_on_the_way_only(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(4):
        hops = [Hop("back", ("168.63.129.16", 50000 + at), ("10.1.0.4", 9999), 63, reply_ttl=63)]
        ask(wire, hops, T0 + at * SECOND, "refuse", 1000 * at)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.verdict is Verdict.LIKELY
    assert any("firewall" in caveat for caveat in found.caveats)


def test_doubts_a_capture_of_two_probes(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["503", "503"])
    (found,) = findings(wire, tmp_path, RULE, known())
    assert found.verdict is Verdict.UNDECIDED
    assert any("three probe intervals" in caveat for caveat in found.caveats)


def test_doubts_many_probers_that_asked_but_once_or_twice(tmp_path: Path) -> None:
    wire, edge_request = Wire(), REQUEST.replace(b"\r\n\r\n", b"\r\nX-FD-HealthProbe: 1\r\n\r\n")
    for edge in range(5):
        for at in range(2):
            source = (f"198.51.100.{edge + 1}", 40_000 + at)
            hops = [Hop("back", source, ("10.1.0.4", 9443), 60)]
            when = T0 + (30 * at + 3 * edge) * SECOND
            ask(wire, hops, when, "503", 10_000 * edge + 1000 * at, request=edge_request)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (found.verdict, found.count, found.facts["how"]) == (Verdict.UNDECIDED, 10, "status")
    assert any("shorter than three probe intervals" in caveat for caveat in found.caveats)


EDGE = REQUEST.replace(b"\r\n\r\n", b"\r\nX-FD-HealthProbe: 1\r\n\r\n")


def edges(failing: range) -> Wire:
    """Ten edges, each asking every ten seconds, five times; probes of these seconds fail."""
    wire = Wire()
    for edge in range(10):
        for number in range(5):
            second = 10 * number + edge
            hops = [replace(hop, src=(f"10.2.{edge}.7", 40_000 + number)) for hop in probe(0, 0)]
            met = "503" if second in failing else "200"
            ask(wire, hops, T0 + second * SECOND, met, 1000 * second + 7, request=EDGE)
    return wire


def test_flags_what_many_probers_met_in_a_row_though_none_met_it_often(tmp_path: Path) -> None:
    (found,) = findings(edges(range(20, 40)), tmp_path, RULE, None)
    assert (found.count, found.verdict) == (20, Verdict.LIKELY)


def test_spares_a_moment_that_several_probers_met(tmp_path: Path) -> None:
    assert not findings(edges(range(20, 28)), tmp_path, RULE, None)
