"""blocked-traffic: says where SYNs or answers got lost, from which points saw what."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import CLIENTS, MEMBERS, call, findings, probe
from tests.wire import ACK, MS, SYN, T0, Hop, Wire, accept, ignore, refuse

pytestmark = pytest.mark.usefixtures("core")
RULE = "blocked-traffic"
SECOND = 1_000_000_000


def alive(wire: Wire, seconds: int = 12, *, data: bool = True) -> None:
    """Other traffic all the time: probes of both members, clients served by the first."""
    for at in range(seconds):
        for member in (0, 1):
            accept(
                wire, probe(member, 50000 + 2 * at + member), T0 + at * SECOND, isn=1_000_000 * at + member, answer=5
            )
        if data:
            accept(wire, call(0, 45000 + at), T0 + at * SECOND + 3 * MS, isn=2_000_000 * at + 77, answer=6)


def test_flags_in_member(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    for at in range(3):
        ignore(wire, call(1, 40000 + at), T0 + at * MS, isn=1000 * at)
    (found,) = findings(wire, tmp_path, RULE)
    assert dict(found.subject) == {"member": "10.1.0.5:9443"}
    assert (found.facts["where"], found.facts["how"], found.count) == ("in-member", "silent", 3)
    # A full accept queue looks the same, so the frames alone do not prove it.
    assert found.verdict is Verdict.LIKELY
    assert any("accept queue" in caveat for caveat in found.caveats)


@pytest.mark.parametrize("topology", [True, False])
def test_flags_before_member(tmp_path: Path, topology: bool) -> None:
    wire = Wire()
    alive(wire)
    # It served before the block, so no capture filter hides the port.
    accept(wire, call(1, 39999), T0, isn=4711, answer=4712)
    for at in range(3):
        ignore(wire, call(1, 40000 + at, CLIENTS[1]), T0 + at * MS, isn=1000 * at, upto=2)
    (found,) = findings(wire, tmp_path, RULE, *([] if topology else [None]))
    assert found.facts["where"] == "before-member"
    assert found.verdict is (Verdict.CONFIRMED if topology else Verdict.LIKELY)


def test_flags_the_return_path(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    for at in range(3):
        hops = call(1, 40000 + at)
        ignore(wire, hops, T0, isn=1000 * at)
        for again in range(3):
            wire.packet(hops, T0 + (2**again) * SECOND, SYN | ACK, 999_000 + at, 1000 * at + 1, back=True, upto=1)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.facts["where"], found.verdict) == ("return-path", Verdict.CONFIRMED)
    assert any("answers" in item.note for item in found.evidence)


def unanswered(wire: Wire, hops: list[Hop], isn: int, *, insists: bool, upto: int | None = None) -> None:
    """The member's SYN-ACK goes out again and again; the client that ``insists`` never got one."""
    pauses = (0, 1, 2, 4)
    for at in pauses if insists else pauses[:1]:
        wire.packet(hops, T0 + at * SECOND, SYN, isn)
    for at in pauses:
        wire.packet(hops, T0 + at * SECOND + MS, SYN | ACK, 999_000 + isn, isn + 1, back=True, upto=upto)


def test_a_client_that_insists_shows_that_the_answer_never_came(tmp_path: Path) -> None:
    """At the member alone: what is sent again long after its answer was lost on its way back."""
    wire = Wire()
    alive(wire)
    for at in range(3):
        unanswered(wire, call(1, 40000 + at, points="host"), 1000 * at, insists=True)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.facts["where"], found.verdict, found.count) == ("return-path", Verdict.LIKELY, 3)
    assert found.next_capture is not None and "on the client" in found.next_capture


def test_spares_answers_to_senders_that_never_ask_again(tmp_path: Path) -> None:
    """A flood of SYNs, or an ACK that got lost: the answer may well have come."""
    wire = Wire()
    alive(wire)
    for at in range(5):
        unanswered(wire, call(1, 40000 + at, points="host"), 1000 * at, insists=False)
    assert findings(wire, tmp_path, RULE) == []


def test_a_rule_that_came_in_mid_capture_is_no_full_queue(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire, 24)
    accept(wire, call(1, 43000, CLIENTS[1]), T0 + 50 * MS, isn=77, answer=78)
    for at in range(4):
        accept(wire, call(1, 42000 + at), T0 + at * SECOND, isn=90_000 * at + 9, answer=8)
        ignore(wire, call(1, 40000 + at), T0 + (8 + at) * SECOND, isn=1000 * at, upto=2)
    (found,) = findings(wire, tmp_path, RULE)
    # The other client was served before it as well, and never called again.
    assert found.title == "Connections to vm-b on port 9443 are blocked"
    assert (found.facts["where"], found.verdict, found.count) == ("before-member", Verdict.CONFIRMED, 4)
    assert "the same clients were served 4 before the first of these." in found.summary


def test_a_rule_that_went_away_let_through_what_was_sent_again(tmp_path: Path) -> None:
    """Those that began in the outage and were answered at a retry after it are no sign of a queue."""
    wire = Wire()
    alive(wire, 24)
    for at in range(4):
        ignore(wire, call(1, 40000 + at), T0 + at * SECOND, isn=1000 * at, upto=2, tries=3)
    for at in range(3):
        hops, isn = call(1, 42000 + at), 90_000 * at + 9
        for again in range(5):
            wire.packet(hops, T0 + (3 + again) * SECOND, SYN, isn, upto=2)
        accept(wire, hops, T0 + 8 * SECOND, isn=isn, answer=8)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.facts["where"], found.verdict, found.count) == ("before-member", Verdict.CONFIRMED, 4)
    assert "the same clients were served 3 after the last." in found.summary


def test_doubts_a_member_whose_own_point_falls_silent_too(tmp_path: Path) -> None:
    """The host went down, or its capture ended: nothing shows that packets were kept from it."""
    wire = Wire()
    for at in range(4):
        accept(wire, call(1, 42000 + at), T0 + at * SECOND, isn=90_000 * at + 9, answer=8)
        ignore(wire, call(1, 40000 + at), T0 + (4 + at) * SECOND, isn=1000 * at, upto=2)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.facts["where"], found.verdict) == ("before-member", Verdict.UNDECIDED)
    assert any("went down" in caveat for caveat in found.caveats)


def calls_only(wire: Wire, point: str) -> None:
    """Makes a point one that sees what goes to services only, as a mirror port of one direction does."""
    answers = [port.to_bytes(2, "big") for port in (MEMBERS[0][1], 9999)]
    wire.frames[point] = [one for one in wire.frames[point] if one[1][34:36] not in answers]


def test_spares_calls_that_a_mirror_of_one_direction_shows_without_their_answers(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    for at in range(4):
        refuse(wire, call(1, 40000 + at, points="back host"), T0 + at * MS, isn=1000 * at)
        accept(wire, call(1, 41000 + at, points="back host"), T0 + at * SECOND, isn=70_000 * at + 3)
    for name in ("a", "b"):
        del wire.frames[name]
    calls_only(wire, "back")
    assert findings(wire, tmp_path, RULE) == []


def test_a_members_point_that_sees_one_direction_does_not_show_that_it_sent_nothing(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    for at in range(3):
        hops = call(1, 40000 + at)
        ignore(wire, hops, T0, isn=1000 * at)
        wire.packet(hops, T0 + MS, SYN | ACK, 999_000 + at, 1000 * at + 1, back=True, upto=1)
    calls_only(wire, "b")
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.facts["where"], found.verdict) == ("unknown", Verdict.UNDECIDED)


def test_names_the_look_alike_of_a_member_that_calls(tmp_path: Path) -> None:
    """Its answer may come straight from the other member, past the balancer."""
    wire = Wire()
    for member in (0, 1):
        accept(wire, call(member, 42000 + member, points="front back"), T0, isn=9 + member, answer=8)
    for at in range(3):
        ignore(wire, call(1, 40000 + at, MEMBERS[0][0], points="front back"), T0 + at * SECOND, isn=1000 * at + 7)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.UNDECIDED
    assert any("asymmetric-return" in caveat for caveat in found.caveats)


def test_flags_an_icmp_reject_by_the_member(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    for at in range(3):
        hops = call(1, 40000 + at)
        ignore(wire, hops, T0 + at * MS, isn=1000 * at, tries=2)
        wire.icmp_error(hops, T0 + at * MS + MS, "10.1.0.5", 3, 13, 1000 * at)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.facts["where"], found.facts["how"], found.verdict) == ("in-member", "icmp", Verdict.CONFIRMED)
    assert (found.facts["icmp_type"], found.facts["icmp_code"]) == (3, 13)
    assert "icmp" in found.filter


def test_spares_a_syn_at_the_end_of_the_capture(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire, 2)
    wire.packet(call(1), T0 + 1 * SECOND, SYN, 1000)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_a_syn_that_was_served_at_a_retry(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    wire.packet(call(1), T0, SYN, 1000, upto=1)
    accept(wire, call(1), T0 + SECOND, isn=1000)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_silence_where_no_balancer_and_no_topology_name_a_member(tmp_path: Path) -> None:
    wire = Wire()
    ignore(wire, [Hop("x", ("192.0.2.1", 40000), ("192.0.2.9", 81), 64)])
    accept(wire, [Hop("x", ("192.0.2.1", 40001), ("192.0.2.9", 80), 64)], T0 + 9 * SECOND)
    assert findings(wire, tmp_path, RULE, None) == []


def test_doubts_when_the_member_was_not_captured(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        ignore(wire, call(1, 40000 + at, points="front back"), T0 + at * MS, isn=1000 * at)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.facts["where"], found.verdict) == ("unknown", Verdict.UNDECIDED)
    assert found.next_capture is not None and found.next_capture.startswith("tcpdump ")


def test_doubts_when_other_connections_were_accepted_meanwhile(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    for at in range(3):
        accept(wire, call(1, 42000 + at), T0 + at * SECOND, isn=90_000 * at + 9, answer=8)
        ignore(wire, call(1, 40000 + at), T0 + at * MS, isn=1000 * at)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.UNDECIDED
    assert any("accept queue" in caveat for caveat in found.caveats)


def test_doubts_a_capture_that_may_leave_the_port_out(tmp_path: Path) -> None:
    wire = Wire()
    alive(wire)
    for at in range(3):
        ignore(wire, call(1, 40000 + at), T0 + at * MS, isn=1000 * at, upto=2)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.facts["where"], found.verdict) == ("before-member", Verdict.LIKELY)
    assert any("capture filter" in caveat for caveat in found.caveats)


def members_alone(served: int | None, points: str) -> Wire:
    """Probes of both members, clients that one of them serves, or none, and three that insist on the second."""
    wire = Wire()
    for at in range(12):
        for member in (0, 1):
            hops = probe(member, 50000 + 2 * at + member)
            accept(wire, hops, T0 + at * SECOND, isn=1_000_000 * at + member, answer=5)
        if served is not None:
            accept(wire, call(served, 45000 + at, points=points), T0 + at * SECOND + 3 * MS, isn=2_000_000 * at + 77)
    for at in range(3):
        ignore(wire, call(1, 40000 + at, points=points), T0 + at * MS, isn=1000 * at + 9)
    return wire


def test_a_port_that_probed_members_serve_is_the_balancers(tmp_path: Path) -> None:
    (found,) = findings(members_alone(0, "back host"), tmp_path, RULE, None)
    assert (found.verdict, found.count) == (Verdict.LIKELY, 3)
    assert dict(found.subject) == {"member": "10.1.0.5:9443"}
    assert any("No frontend was captured" in caveat for caveat in found.caveats)


def test_a_port_that_no_probed_member_serves_may_be_anybodys(tmp_path: Path) -> None:
    (found,) = findings(members_alone(None, "back host"), tmp_path, RULE, None)
    assert found.verdict is Verdict.UNDECIDED
    assert any("--topology" in caveat for caveat in found.caveats)
