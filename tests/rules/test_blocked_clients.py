"""blocked-traffic: whom it is about: one client that every member turns away, or the members that many clients call."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import CLIENTS, FRONTEND, MEMBERS, TOPOLOGY, call, findings, probe
from tests.rules.test_blocked_traffic import RULE, SECOND, alive
from tests.wire import MS, SYN, T0, Hop, Wire, accept, ignore, refuse

pytestmark = pytest.mark.usefixtures("core")


def test_many_clients_that_one_member_turns_away_are_one_finding_about_it(tmp_path: Path) -> None:
    """Each of them called once and got no answer: that is no block of each of them."""
    wire = Wire()
    alive(wire)
    for at in range(5):
        accept(wire, call(1, 42000 + at, f"198.51.100.{20 + at}"), T0 + at * SECOND, isn=90_000 * at + 9, answer=8)
        ignore(wire, call(1, 40000 + at, f"198.51.100.{40 + at}"), T0 + at * MS, isn=1000 * at)
    (found,) = findings(wire, tmp_path, RULE)
    assert (dict(found.subject), found.count) == ({"member": "10.1.0.5:9443"}, 5)
    assert found.verdict is Verdict.UNDECIDED


def test_names_the_address_that_members_see_of_clients_behind_a_translator(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    for member in (0, 1):
        accept(wire, call(member, 43000 + member), T0 + 5 * SECOND, isn=31 + member, answer=32)
        inside = Hop("lan", (f"192.168.7.2{member}", 30000 + member), FRONTEND, 64, 10_000, 62)
        ignore(wire, [inside, *call(member, 40000 + member, CLIENTS[1])], T0 + member * MS, isn=1000 * member)
    (found,) = findings(wire, tmp_path, RULE)
    assert (dict(found.subject), found.count) == ({"client": CLIENTS[1]}, 2)
    assert "A translator gives this address to 192.168.7.20, 192.168.7.21." in found.summary


def test_names_the_one_of_two_snat_addresses_that_is_blocked(tmp_path: Path) -> None:
    """Every client is served under the other one: neither a client nor a member is at fault."""
    wire = Wire()
    for at in range(12):
        client, begun, bad = CLIENTS[at % 2], T0 + at * SECOND, at % 3 == 0
        front = Hop("front", (client, 40000 + at), FRONTEND, 61, 100_000, 63)
        snat, member = ("10.1.0.251" if bad else "10.1.0.250", 20000 + at), MEMBERS[at // 3 % 2]
        onward = [Hop("back", snat, member, 60, 160_000), Hop("ab"[at // 3 % 2], snat, member, 60, 200_000)]
        if bad:
            ignore(wire, [front, *onward], begun, isn=90_000 * at + 9, upto=2)
        else:
            accept(wire, [front, *onward], begun, isn=90_000 * at + 9)
    full = TOPOLOGY.replace('pool = "shop"', 'pool = "shop"\nmode = "dnat+snat"', 1)
    (found,) = findings(wire, tmp_path, RULE, full)
    assert (dict(found.subject), found.count) == ({"client": "10.1.0.251"}, 4)
    assert (found.facts["where"], found.verdict) == ("before-member", Verdict.CONFIRMED)
    assert f"gives this address to {CLIENTS[0]}, {CLIENTS[1]}." in found.summary


def test_flags_one_client_alone(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    for member in (0, 1):
        accept(wire, call(member, 43000 + member), T0 + 5 * SECOND, isn=31 + member, answer=32)
        ignore(wire, call(member, 40000 + member, CLIENTS[1]), T0 + member * MS, isn=1000 * member)
    (found,) = findings(wire, tmp_path, RULE)
    assert dict(found.subject) == {"client": CLIENTS[1]}
    assert found.count == 2


def test_flags_one_client_alone_although_a_member_refuses_everybody_else(tmp_path: Path) -> None:
    """A refusal is an answer: the member that listens on nothing is no reason to accuse all of them."""
    wire = Wire()
    alive(wire, data=False)
    for at in range(4):
        accept(wire, call(0, 45000 + at), T0 + at * SECOND, isn=2_000_000 * at + 77, answer=6)
        refuse(wire, call(1, 46000 + at), T0 + at * SECOND + MS, isn=3_000_000 * at + 5)
    for at in range(3):
        for member in (0, 1):
            blocked = call(member, 40000 + 2 * at + member, CLIENTS[1])
            ignore(wire, blocked, T0 + at * MS, isn=1000 * at + member, upto=2)
    (found,) = findings(wire, tmp_path, RULE)
    assert (dict(found.subject), found.count) == ({"client": CLIENTS[1]}, 6)
    assert found.facts["where"] == "before-member"


def test_names_the_client_when_the_member_answers_others(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    accept(wire, call(0, 47000, CLIENTS[1]), T0 + 9 * MS, isn=99, answer=98)
    accept(wire, call(1, 47001), T0 + 9 * MS, isn=97, answer=96)
    for at in range(3):
        ignore(wire, call(1, 40000 + at, CLIENTS[1]), T0 + at * MS, isn=1000 * at, upto=2)
    (found,) = findings(wire, tmp_path, RULE)
    assert dict(found.subject) == {"member": "10.1.0.5:9443"}
    assert found.title == f"{CLIENTS[1]}'s connections to vm-b on port 9443 are blocked"
    assert f"Only {CLIENTS[1]} met this" in found.summary


def test_spares_a_member_that_a_scanner_asks_once_for_every_port(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(12):
        accept(wire, probe(0, 50000 + at), T0 + at * SECOND, isn=1_000_000 * at, answer=5)
        to = (MEMBERS[0][0], 20 + at)
        scan = [Hop(point, (CLIENTS[1], 61000), to, 52, delay) for point, delay in (("back", 160_000), ("a", 200_000))]
        wire.packet(scan, T0 + at * 100 * MS, SYN, 77_000 + at)
    assert findings(wire, tmp_path, RULE, None) == []


def test_many_blocked_clients_are_told_by_the_members_that_they_called(tmp_path: Path) -> None:
    """A rule that denies a range of addresses hits thousands: one finding per member, with how many."""
    wire = Wire()
    alive(wire)
    for member in (0, 1):
        accept(wire, call(member, 43000 + member), T0 + SECOND, isn=31 + member, answer=32)
        for at in range(30):
            ignore(wire, call(member, 40000, f"198.51.100.{40 + at}"), T0 + at * MS, isn=9000 * at + member, upto=2)
    found = findings(wire, tmp_path, RULE)
    assert [dict(one.subject) for one in found] == [{"member": f"{host}:{port}"} for host, port in MEMBERS]
    assert {(one.count, one.verdict, one.facts["where"]) for one in found} == {(30, Verdict.CONFIRMED, "before-member")}
    assert all("and 27 others met this" in one.summary for one in found)


@pytest.mark.parametrize("tries", [1, 3])
def test_doubts_senders_that_never_repeat_their_syn(tmp_path: Path, tries: int) -> None:
    """A flood: whom the member would have answered, and who wanted an answer, cannot be told."""
    wire = Wire()
    alive(wire, data=False)
    accept(wire, call(1, 39999), T0 - SECOND, isn=4711, answer=4712)
    for at in range(30):
        ignore(wire, call(1, 40000 + at, f"198.51.100.{40 + at}"), T0 + at * MS, isn=9000 * at, upto=2, tries=tries)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.count, found.verdict) == (30, Verdict.UNDECIDED if tries == 1 else Verdict.CONFIRMED)
    assert any("never sent again" in caveat for caveat in found.caveats) is (tries == 1)
