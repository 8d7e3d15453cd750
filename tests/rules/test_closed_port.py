"""closed-port: flags refusals, spares probes and resets of open connections, doubts what a firewall could have sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import CLIENTS, FRONTEND, MEMBERS, TOPOLOGY, call, findings, probe
from tests.wire import MS, T0, Hop, Wire, accept, refuse

pytestmark = pytest.mark.usefixtures("core")
RULE = "closed-port"


def test_flags_a_member_that_refuses_while_its_probe_succeeds(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(5):
        refuse(wire, call(1, 40000 + at), T0 + at * MS, isn=1000 * at)
        accept(wire, call(0, 41000 + at), T0 + at * MS, isn=7000 * at + 3)
        accept(wire, probe(1, 50000 + at), T0 + at * 900 * MS, isn=555 * at + 1)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.CONFIRMED
    assert found.subject == {"member": "10.1.0.5:9443"}
    assert (found.count, found.facts["where"], found.names) == (5, "member", {"10.1.0.5": "vm-b"})
    assert "168.63.129.16" in found.summary and "succeed" in found.summary
    assert {item.note for item in found.evidence} == {"SYN", "refused: RST that acknowledges the SYN"}


def test_names_the_service_where_several_share_a_host(tmp_path: Path) -> None:
    wire = Wire()
    refuse(wire, call(1, 40000), T0, isn=1000)
    shared = TOPOLOGY.replace(
        "members = [", 'members = [ { name = "vm-c", address = "10.1.0.5", port = 9444 },'
    )  # fmt: skip
    (found,) = findings(wire, tmp_path, RULE, shared)
    assert found.title == "vm-b refuses connections on port 9443"


def test_a_member_that_restarts_is_not_said_to_have_healthy_probes(tmp_path: Path) -> None:
    """It refuses a client and its probes as well, until it is back."""
    wire = Wire()
    for at in range(12):
        (refuse if 4 <= at < 8 else accept)(wire, probe(1, 50000 + at), T0 + at * 900 * MS, 555 * at + 1)
        accept(wire, call(0, 41000 + at), T0 + at * 900 * MS, isn=7000 * at + 3)
    refuse(wire, call(1, 40000), T0 + 3500 * MS, isn=1000)
    (found,) = findings(wire, tmp_path, RULE)
    assert "succeed" not in found.summary


def test_flags_it_without_a_topology_as_likely(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        refuse(wire, call(1, 40000 + at), T0 + at * MS, isn=1000 * at)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (found.verdict, dict(found.subject)) == (Verdict.LIKELY, {"member": "10.1.0.5:9443"})
    assert found.caveats


def test_flags_a_frontend_port_without_a_rule(tmp_path: Path) -> None:
    wire = Wire()
    refuse(wire, [Hop("front", ("198.51.100.7", 40000), (FRONTEND[0], 8443), 61)])
    (found,) = findings(wire, tmp_path, RULE)
    assert (dict(found.subject), found.facts["where"]) == ({"frontend": "203.0.113.9:8443"}, "frontend")


@pytest.mark.parametrize("behind", [True, False])
def test_a_frontend_that_serves_refuses_itself_only_where_nothing_was_seen_behind_it(
    tmp_path: Path, behind: bool
) -> None:
    wire, points = Wire(), "front back host" if behind else "front"
    for at in (0, 3, 6, 9):
        accept(wire, call(at % 2, 41000 + at, points=points), T0 + at * 100 * MS, isn=70_000 * at + 5)
    for at in range(4):
        refuse(wire, call(0, 42000 + at, points="front"), T0 + (200 + at) * MS, isn=9_000 * at + 1)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.facts["where"], found.count) == ("frontend", 4)
    assert found.verdict is (Verdict.LIKELY if behind else Verdict.UNDECIDED)
    assert ("no member refused them" in found.summary) is behind


def test_flags_a_plain_host_as_host(tmp_path: Path) -> None:
    wire = Wire()
    refuse(wire, [Hop("x", ("2001:db8::7", 40000), ("2001:db8::9", 25), 64)])
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (dict(found.subject), found.facts["where"]) == ({"host": "[2001:db8::9]:25"}, "host")
    assert "ipv6.src == 2001:db8::7" in found.filter


def test_spares_a_refused_probe(tmp_path: Path) -> None:
    wire = Wire()
    refuse(wire, probe(0))
    assert findings(wire, tmp_path, RULE) == []


def test_spares_a_reset_of_an_open_connection(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, call())
    wire.packet(call(), T0 + 500 * MS, 4 | 16, 9012, 1014, back=True)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_a_reset_seen_only_away_from_the_member(tmp_path: Path) -> None:
    wire = Wire()
    refuse(wire, call(1, points="front back"))
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert any("firewall" in caveat for caveat in found.caveats)
    assert found.next_capture is not None and found.next_capture.startswith("tcpdump ")


def test_doubts_a_port_that_also_accepted(tmp_path: Path) -> None:
    wire = Wire()
    refuse(wire, call(1))
    accept(wire, call(1, 40001), T0 + 50 * MS, isn=88, answer=99)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert any("accepted" in caveat for caveat in found.caveats)


def test_doubts_a_port_scan(tmp_path: Path) -> None:
    wire = Wire()
    for port in range(20, 40):
        refuse(wire, [Hop("x", ("192.0.2.66", 61000), ("192.0.2.9", port), 50)], T0 + port * MS, isn=port)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (found.verdict, found.subject, found.count) == (Verdict.UNDECIDED, {"host": "192.0.2.9"}, 20)


def test_two_members_are_two_findings(tmp_path: Path) -> None:
    wire = Wire()
    for member in (0, 1):
        refuse(wire, call(member, 40000 + member), isn=1000 * member)
    found = findings(wire, tmp_path, RULE)
    assert sorted(str(one.subject["member"]) for one in found) == [f"{host}:{port}" for host, port in MEMBERS]


def test_doubts_a_client_that_is_refused_by_many_hosts(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(12):
        peer = [Hop("x", ("192.0.2.66", 61000 + at), (f"192.0.2.{100 + at}", 6346), 50)]
        refuse(wire, peer, T0 + at * MS, isn=at)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (found.verdict, found.subject, found.count) == (Verdict.UNDECIDED, {"host": "192.0.2.66"}, 12)


def test_refusals_by_members_are_no_search(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(12):
        member = (f"10.1.7.{at + 1}", 9443)
        src = (CLIENTS[0], 40000 + at)
        hops = [Hop("front", src, FRONTEND, 61, 100_000, 63), Hop("back", src, member, 60, 160_000, 64)]
        refuse(wire, hops, T0 + at * 20 * MS, isn=70_000 * at + 3)
    assert len(findings(wire, tmp_path, RULE, None)) == 12


def test_a_scan_from_many_sources_is_one_finding_about_the_host(tmp_path: Path) -> None:
    wire = Wire()
    for port in range(20, 60):
        refuse(wire, [Hop("x", (f"192.0.2.{port}", 61000), ("203.0.113.77", port), 50)], T0 + port * MS, isn=port)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (found.verdict, found.subject, found.count) == (Verdict.UNDECIDED, {"host": "203.0.113.77"}, 40)
    assert "40 clients tried many ports" in found.summary


def test_a_service_of_the_balancer_is_told_beside_a_scan_of_its_host(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(20):
        scan = [Hop("b", (f"192.0.2.{at}", 61000), (MEMBERS[1][0], 20 + at), 50)]
        refuse(wire, scan, T0 + at * MS, isn=at)
    for at in range(4):
        refuse(wire, call(1, 40000 + at), T0 + at * MS, isn=1000 + at)
    one, other = findings(wire, tmp_path, RULE)
    assert (one.subject, one.verdict, one.count) == ({"member": "10.1.0.5:9443"}, Verdict.CONFIRMED, 4)
    assert (other.subject, other.verdict, other.count) == ({"host": "10.1.0.5"}, Verdict.UNDECIDED, 20)


def test_refusals_of_a_whole_network_are_one_finding_beside_those_that_go_on(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(60):
        refuse(wire, [Hop("x", (f"192.0.2.{at}", 61000), (f"203.0.113.{at}", 445), 50)], T0 + at * MS, isn=at)
    for at in range(5):
        refuse(wire, [Hop("x", ("198.51.100.9", 61000 + at), ("203.0.113.99", 25), 50)], T0 + at * MS, isn=at + 99)
    one, other = findings(wire, tmp_path, RULE, None)
    assert (one.subject, one.verdict, one.count) == ({"host": "203.0.113.99:25"}, Verdict.LIKELY, 5)
    assert (other.subject, other.verdict, other.count) == ({"host": "203.0.113.0"}, Verdict.UNDECIDED, 60)


@pytest.mark.parametrize("ttl", [63, 255])
def test_doubts_a_reset_whose_ttl_is_not_the_member_s(tmp_path: Path, ttl: int) -> None:
    """Something between the point and the member refuses in its name; the member may listen all the while."""
    wire = Wire()
    for at in range(4):
        accept(wire, probe(1, 50000 + at), T0 + at * MS, isn=555 * at + 1)
        accept(wire, [replace(hop, reply_ttl=63) for hop in call(1, 41000 + at, points="back")], T0 + at * MS, isn=at)
        refuse(wire, [replace(hop, reply_ttl=ttl) for hop in call(1, 40000 + at, points="back")], T0 + at * MS, 9 * at)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is (Verdict.LIKELY if ttl == 63 else Verdict.UNDECIDED)
    assert any("TTL 255 at back" in caveat for caveat in found.caveats) is (ttl == 255)
