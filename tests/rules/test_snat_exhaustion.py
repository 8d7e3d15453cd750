"""snat-exhaustion: a full pool and SYNs that go in and not out; an outage, loss or a block is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowscope.findings import Severity, Verdict
from tests.rules.outbound import HOSTS, OTHER, SERVER, SNAT, START, TOPOLOGY, hold, way
from tests.rules.scene import findings, judged
from tests.wire import ACK, MS, PSH, Hop, Wire, ignore

pytestmark = pytest.mark.usefixtures("core")
RULE = "snat-exhaustion"
SECOND = 1_000 * MS


def full(wire: Wire, points: str = "in out", ports: int = 10) -> None:
    """Ten connections are open for ten seconds, on all ports."""
    for at in range(ports):
        hold(wire, way(40000 + at, 1024 + at, host=HOSTS[at % 2], points=points), START + at * MS, 1000 * at, 10)


def too_many(wire: Wire, connections: int = 4, after: int = SECOND, tries: int = 3) -> None:
    """More of them, seen inside only."""
    for at in range(connections):
        ignore(wire, way(41000 + at, 1, points="in"), START + after + at * MS, 700_000 + 1000 * at, tries=tries)


def elsewhere(wire: Wire) -> None:
    """Another destination gets a port meanwhile."""
    for at in range(3):
        hold(wire, way(42000 + at, 1024 + at, OTHER), START + (2 + at) * SECOND, 900_000 + 1000 * at, 0.1)


def test_flags_syns_that_enter_and_never_leave_a_full_pool(tmp_path: Path) -> None:
    wire = Wire()
    full(wire)
    too_many(wire)
    elsewhere(wire)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert found.verdict is Verdict.CONFIRMED
    assert dict(found.subject) == {"snat": SNAT, "destination": "198.51.100.10:443"}
    assert found.key == f"snat-exhaustion snat={SNAT} destination=198.51.100.10:443"
    assert found.count == 4
    assert (found.facts["ports_available"], found.facts["ports_peak"], found.facts["refused"]) == (10, 10, 4)
    assert found.facts["ports_needed"] == 14
    assert {item.capture for item in found.evidence} == {0}
    assert found.next_capture is None


def test_flags_it_without_a_topology_when_other_destinations_still_work(tmp_path: Path) -> None:
    wire = Wire()
    full(wire)
    too_many(wire)
    elsewhere(wire)
    # As ports come back, further connections get these, and no others.
    for at in range(3):
        hold(wire, way(43000 + at, 1024 + at), START + (11 + at) * SECOND, 800_000 + 1000 * at, 0.1)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.verdict is Verdict.CONFIRMED
    assert found.facts["ports_from"] == "observed"
    assert "that were seen" in found.summary


def test_doubts_a_block_of_ports_that_never_came_back(tmp_path: Path) -> None:
    """Ports that are given in order are a block at any time: a rule that drops new connections looks the same."""
    wire = Wire()
    full(wire)
    too_many(wire)
    elsewhere(wire)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.verdict is Verdict.LIKELY
    assert any("a rule that drops new ones" in caveat for caveat in found.caveats)


def test_spares_ports_that_come_back_too_soon_to_be_held(tmp_path: Path) -> None:
    """Ten short connections, and a block long after: ports to another destination come back within a second."""
    wire = Wire()
    for at in range(10):
        hold(wire, way(40000 + at, 1024 + at), START + at * MS, 1000 * at, 0.5)
    for at in range(30):
        hold(wire, way(42000 + at, 1024, OTHER), START + at * SECOND, 900_000 + 1000 * at, 0.3)
    too_many(wire, after=20 * SECOND)
    assert findings(wire, tmp_path, RULE, None) == []
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


SECOND_ADDRESS = "203.0.113.78"
ONE = TOPOLOGY + "fin_hold_s = 0\nrst_hold_s = 0\n"
TWO = ONE + ONE.replace(SNAT, SECOND_ADDRESS)


def second(port: int, snat_port: int, host: str = HOSTS[0]) -> list[Hop]:
    """A host's way out by the other address."""
    inner, outer = way(port, snat_port, host=host)
    return [inner, replace(outer, src=(SECOND_ADDRESS, snat_port))]


@pytest.mark.parametrize(("topology", "taken"), [(TWO, 10), (TWO, 7), (None, 10)])
def test_takes_the_other_address_of_a_host_into_account(tmp_path: Path, topology: str | None, taken: int) -> None:
    wire = Wire()
    full(wire)
    for at in range(10):
        # Three of them may be over by the time that connections fail.
        lasts = 10 if at < taken else 0.2
        hold(wire, second(44000 + at, 1024 + at, HOSTS[at % 2]), START + (20 + at) * MS, 500_000 + 1000 * at, lasts)
    too_many(wire)
    elsewhere(wire)
    found = findings(wire, tmp_path, RULE, topology)
    assert len(found) == (taken == 10)
    assert all(f"and all of {SECOND_ADDRESS}" in one.summary for one in found)
    assert len(findings(wire, tmp_path, "snat-pressure", topology)) == (topology is not None and taken < 10) * 2


def test_no_pressure_is_told_of_either_address_where_ports_may_have_been_held(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(10):
        hold(wire, way(40000 + at, 1024 + at), START + at * MS, 1000 * at, 0.2)
        hold(wire, second(44000 + at, 1024 + at), START + (20 + at) * MS, 500_000 + 1000 * at, 0.2)
    too_many(wire)
    elsewhere(wire)
    unknown = TOPOLOGY + TOPOLOGY.replace(SNAT, SECOND_ADDRESS)
    (found,) = findings(wire, tmp_path, RULE, unknown)
    assert found.verdict is Verdict.LIKELY
    assert findings(wire, tmp_path, "snat-pressure", unknown) == []


def test_lays_a_refusal_to_the_address_that_its_host_uses(tmp_path: Path) -> None:
    """A translator may keep each host at one address; the busiest one is not that of all."""
    wire = Wire()
    full(wire)
    for at in range(12):
        hold(wire, second(44000 + at, 1024 + at, "10.9.0.9"), START + 20 * MS + at * SECOND, 500_000 + 1000 * at, 0.2)
    too_many(wire)
    elsewhere(wire)
    (found,) = findings(wire, tmp_path, RULE, TWO)
    assert (found.subject["snat"], found.verdict) == (SNAT, Verdict.CONFIRMED)


def test_flags_ports_that_were_all_taken_before_the_capture_began(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(10):
        for turn in range(4):
            when, seq = START + at * MS + turn * SECOND, 1000 * at + 20 * turn
            wire.packet(way(40000 + at, 1024 + at), when, PSH | ACK, seq, 70_000, b"still there?")
            wire.packet(way(40000 + at, 1024 + at), when + MS, ACK, 70_000, seq + 12, back=True)
    too_many(wire)
    elsewhere(wire)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert (found.verdict, found.count) == (Verdict.CONFIRMED, 4)


def test_counts_connections_of_which_the_capture_lost_one_side(tmp_path: Path) -> None:
    wire = Wire()
    full(wire, ports=9)
    hold(wire, way(40009, 1033, points="in"), START + 9 * MS, 9000, 10)
    too_many(wire)
    elsewhere(wire)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert (found.verdict, found.facts["ports_peak"]) == (Verdict.CONFIRMED, 10)


def test_doubts_when_the_last_port_was_not_seen_in_use(tmp_path: Path) -> None:
    wire = Wire()
    full(wire, ports=9)
    too_many(wire)
    elsewhere(wire)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert (found.verdict, found.facts["ports_peak"]) == (Verdict.LIKELY, 9)
    assert any("9 of 10 ports were seen in use" in caveat for caveat in found.caveats)


def test_flags_each_member_s_own_share(tmp_path: Path) -> None:
    wire = Wire()
    full(wire)
    too_many(wire)
    elsewhere(wire)
    split = TOPOLOGY.replace('ports = "1024-1033"', 'ports = "1024-1033"\nports_per_member = 5')
    (found,) = findings(wire, tmp_path, RULE, split)
    assert found.facts["ports_available"] == 5
    assert found.count == 4
    assert HOSTS[0] in found.title


def test_flags_ports_that_are_held_after_the_close(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(10):
        hold(wire, way(40000 + at, 1024 + at), START + at * MS, 1000 * at, 0.5)
    too_many(wire, after=20 * SECOND)
    elsewhere(wire)
    hold(wire, way(43000, 1027, OTHER), START + 40 * SECOND, 990_000, 0.1)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY + "fin_hold_s = 240\nrst_hold_s = 15\n")
    assert found.verdict is Verdict.CONFIRMED
    # The same packets, and nobody knows how long a port is held.
    (guessed,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert guessed.verdict is Verdict.LIKELY
    assert any("240 s" in caveat for caveat in guessed.caveats)


def test_explains_what_would_otherwise_be_blocked_traffic(tmp_path: Path) -> None:
    wire = Wire()
    full(wire)
    too_many(wire)
    elsewhere(wire)
    assert {one.rule for one in judged(wire, tmp_path, TOPOLOGY).findings} <= {RULE, "clock-offset"}


@pytest.mark.parametrize("topology", [TOPOLOGY, None])
def test_spares_a_block_with_ports_to_spare(tmp_path: Path, topology: str | None) -> None:
    wire = Wire()
    full(wire, ports=6)
    too_many(wire)
    elsewhere(wire)
    assert findings(wire, tmp_path, RULE, topology) == []


def test_spares_a_destination_that_never_answered(tmp_path: Path) -> None:
    wire = Wire()
    full(wire)
    for at in range(4):
        dead = ("198.51.100.99", 443)
        ignore(wire, way(41000 + at, 1024 + at, dead, points="in"), START + SECOND, 1000 * at)
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_spares_syns_that_left_and_were_not_answered(tmp_path: Path) -> None:
    wire = Wire()
    full(wire)
    for at in range(4):
        ignore(wire, way(41000 + at, 1024 + at), START + 20 * SECOND + at * MS, 700_000 + 1000 * at)
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_spares_syns_that_never_reached_the_translator(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(10):
        hops = [Hop("host", (HOSTS[0], 40000 + at), SERVER, 64, 10_000, 62), *way(40000 + at, 1024 + at)]
        hold(wire, hops, START + at * MS, 1000 * at, 10)
    for at in range(4):
        lost = [Hop("host", (HOSTS[0], 41000 + at), SERVER, 64, 10_000, 62)]
        ignore(wire, lost, START + SECOND + at * MS, 700_000 + 1000 * at)
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_doubts_what_only_the_inside_shows(tmp_path: Path) -> None:
    wire = Wire()
    full(wire, points="in")
    too_many(wire)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and found.next_capture.startswith("tcpdump ")
    assert "both sides" in found.next_capture


def test_doubts_a_number_of_ports_that_was_only_observed(tmp_path: Path) -> None:
    wire = Wire()
    full(wire)
    too_many(wire)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.verdict is Verdict.LIKELY


SCATTERED = [2017, 50311, 9120, 33007, 61450, 1203, 27777, 40960, 15001, 55432]
"""As a NAT gateway chooses them: at random."""


def scattered(wire: Wire, others: list[int]) -> None:
    """All ten are held open, and another destination gets some meanwhile; four more connections get none."""
    for at, port in enumerate(SCATTERED):
        hold(wire, way(40000 + at, port), START + at * MS, 1000 * at, 20)
    for at, port in enumerate(others):
        hold(wire, way(42000 + at, port, OTHER), START + (2 + at) * SECOND, 900_000 + 1000 * at, 0.1)
    too_many(wire)


def test_doubts_scattered_ports_of_which_none_is_new_any_more(tmp_path: Path) -> None:
    wire = Wire()
    scattered(wire, SCATTERED[2:])
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.verdict is Verdict.LIKELY
    assert (found.facts["ports_peak"], found.facts["refused"]) == (10, 4)
    assert any("what was observed" in caveat for caveat in found.caveats)


@pytest.mark.parametrize(
    "others", [[], SCATTERED[:3], [*SCATTERED[2:], 31000]], ids=["outage", "few", "another port is free"]
)
def test_spares_scattered_ports_that_may_not_be_all(tmp_path: Path, others: list[int]) -> None:
    wire = Wire()
    scattered(wire, others)
    assert findings(wire, tmp_path, RULE, None) == []


def test_doubts_a_single_syn(tmp_path: Path) -> None:
    wire = Wire()
    full(wire)
    too_many(wire, connections=1, tries=1)
    elsewhere(wire)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert found.verdict is Verdict.LIKELY


def test_a_destination_that_is_a_known_frontend_is_no_less_a_destination(tmp_path: Path) -> None:
    """People's own services are called through SNAT as well: the SYN never left, so that balancer is not to blame."""
    wire = Wire()
    full(wire)
    too_many(wire)
    elsewhere(wire)
    topology = TOPOLOGY + (
        '[[frontend]]\nname = "own"\naddress = "198.51.100.10"\nport = 443\nprotocol = "tcp"\npool = "own"\n'
        '[[pool]]\nname = "own"\nmembers = [ { name = "m", address = "192.168.7.4", port = 8443 } ]\n'
    )
    analysis = judged(wire, tmp_path, topology)
    assert not analysis.problems
    (found,) = (one for one in analysis.findings if one.severity is Severity.ERROR)
    assert (found.rule, found.verdict, found.count) == (RULE, Verdict.CONFIRMED, 4)
    assert dict(found.subject) == {"snat": SNAT, "destination": "198.51.100.10:443"}
