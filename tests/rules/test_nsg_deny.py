"""nsg-deny: names the rule that drops traffic or probes, and only when it can have been that rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.findings import Finding, Verdict
from flowscope.settings import Settings
from tests.cloud import rule_files
from tests.cloud.rule_files import allow, deny, nsg
from tests.rules.scene import CLIENTS, PROBER, TOPOLOGY, call, probe
from tests.rules.test_blocked_traffic import alive
from tests.wire import ACK, MS, SYN, T0, Hop, Wire, accept, ignore

pytestmark = pytest.mark.usefixtures("core")
SECOND = 1_000_000_000
PROBED = TOPOLOGY + '\n[pool.probe]\nsource = ["168.63.129.16"]\nport = 9999\n'
VICTIM = "10.1.0.5:9443"


def judged(wire: Wire, folder: Path, *rules: str, logs: tuple[str, ...] = (), topology: str = TOPOLOGY) -> Analysis:
    given = folder / "topology.toml"
    given.write_text(topology)
    settings = Settings(nsg=rules, flow_logs=logs)
    analysis = analyze(wire.write(folder / "captures"), topology=str(given), settings=settings)
    assert not analysis.problems
    return analysis


def rules_of(analysis: Analysis) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for one in analysis.findings:
        found.setdefault(one.rule, []).append(one)
    return found


@pytest.fixture
def before(tmp_path: Path) -> Wire:
    """Traffic to the second member is dropped before it; its probes pass."""
    (tmp_path / "captures").mkdir()
    wire = Wire()
    alive(wire)
    accept(wire, call(1, 39999), T0, isn=4711, answer=4712)
    for at in range(3):
        ignore(wire, call(1, 40000 + at, CLIENTS[1]), T0 + SECOND + at * MS, isn=1000 * at, upto=2)
    return wire


def tuples(verdict: str) -> list[Any]:
    return [(T0 / SECOND + 1, CLIENTS[1], 40000 + at, "10.1.0.5", 9443, verdict) for at in range(3)]


def test_flags_the_rule_of_a_group(before: Wire, tmp_path: Path) -> None:
    file = nsg(tmp_path / "g.json", allow("open", 300, 9443), deny("deny-shop", 200, "9000-9500", "198.51.100.8"))
    found = rules_of(judged(before, tmp_path, f"{file}=vm-b"))
    assert "blocked-traffic" not in found
    (one,) = found["nsg-deny"]
    assert dict(one.subject) == {"member": VICTIM} and one.count == 3 and len(one.paths) == 3
    named = {key: one.facts[key] for key in ("nsg", "rule_name", "priority", "direction")}
    assert named == {"nsg": "shop-nsg", "rule_name": "deny-shop", "priority": 200, "direction": "inbound"}
    # A file says what rules would do.
    assert one.verdict is Verdict.LIKELY
    assert any("'open' priority 199 instead of 300" in text for text in one.remedy)


def test_flags_a_default_rule_that_nothing_overrides(before: Wire, tmp_path: Path) -> None:
    found = rules_of(judged(before, tmp_path, nsg(tmp_path / "g.json", allow("other", 300, 22))))
    (one,) = found["nsg-deny"]
    assert (one.facts["rule_name"], one.facts["priority"]) == ("DenyAllInBound", 65500)
    assert any(
        "add an inbound rule with priority 4096: allow TCP from 198.51.100.8/32, port 9443" in text
        for text in one.remedy
    )
    assert any("No file says in front of which interface" in text for text in one.caveats)


def test_a_rule_that_is_never_reached_is_named(before: Wire, tmp_path: Path) -> None:
    file = nsg(tmp_path / "g.json", deny("all", 100, "*"), allow("late", 300, 9443))
    found = rules_of(judged(before, tmp_path, file))["nsg-deny"]
    one = next(one for one in found if dict(one.subject) == {"member": VICTIM})
    assert any("'late' (300)" in text and "'all' (100)" in text for text in one.remedy)


@pytest.mark.parametrize("write", [rule_files.nsg_flow_log, rule_files.vnet_flow_log, rule_files.vpc_flow_log])
def test_a_deny_record_and_no_packet_at_the_member_is_proof(before: Wire, tmp_path: Path, write: Any) -> None:
    found = rules_of(judged(before, tmp_path, logs=(write(tmp_path / "log", tuples("D")),)))
    (one,) = found["nsg-deny"]
    assert (one.verdict, one.facts["denied_records"], one.count) == (Verdict.CONFIRMED, 3, 3)
    if write is not rule_files.vpc_flow_log:
        assert one.facts["rule_name"] == "deny-shop"
    assert "blocked-traffic" not in found


def test_log_and_rules_together_name_the_priority(before: Wire, tmp_path: Path) -> None:
    log = rule_files.nsg_flow_log(tmp_path / "log", tuples("D"))
    file = nsg(tmp_path / "g.json", allow("open", 300, 9443), deny("deny-shop", 200, 9443, CLIENTS[1]))
    (one,) = rules_of(judged(before, tmp_path, file, logs=(log,)))["nsg-deny"]
    assert (one.verdict, one.facts["rule_name"], one.facts["priority"]) == (Verdict.CONFIRMED, "deny-shop", 200)


def test_spares_what_the_rules_let_in(before: Wire, tmp_path: Path) -> None:
    found = rules_of(judged(before, tmp_path, nsg(tmp_path / "g.json", allow("open", 300, 9443))))
    assert "nsg-deny" not in found
    (one,) = found["blocked-traffic"]
    assert "No rule explains this: open of shop-nsg lets it in." in one.summary
    assert one.verdict is Verdict.CONFIRMED


def test_spares_a_group_of_somebody_else(before: Wire, tmp_path: Path) -> None:
    file = nsg(tmp_path / "g.json", deny("all", 100, "*"))
    found = rules_of(judged(before, tmp_path, f"{file}=10.1.0.4"))
    # The first member's clients are served, so even there the file is not what was in force.
    assert [dict(one.subject) for one in found.get("nsg-deny", []) if one.verdict is not Verdict.UNDECIDED] == []
    assert "no rules were given for this host" in found["blocked-traffic"][0].summary


def test_an_allow_record_and_no_packet_says_capture_or_guest(before: Wire, tmp_path: Path) -> None:
    log = rule_files.nsg_flow_log(tmp_path / "log", tuples("A"))
    file = nsg(tmp_path / "g.json", deny("deny-shop", 200, 9443, CLIENTS[1]))
    found = rules_of(judged(before, tmp_path, file, logs=(log,)))
    assert "nsg-deny" not in found
    (one,) = found["blocked-traffic"]
    assert one.verdict is Verdict.UNDECIDED
    assert "the capture at the member missed it, or the guest dropped it" in one.summary


def test_spares_what_nobody_can_tell(before: Wire, tmp_path: Path) -> None:
    file = nsg(tmp_path / "g.json", deny("storage", 100, "*", "Storage"), allow("open", 300, 9443))
    found = rules_of(judged(before, tmp_path, file))
    assert "nsg-deny" not in found
    assert "it is not given whether Storage holds 198.51.100.8" in found["blocked-traffic"][0].summary


def test_doubts_a_rule_that_others_passed_meanwhile(before: Wire, tmp_path: Path) -> None:
    for at in range(3):
        accept(before, call(1, 42000 + at), T0 + (3 + at) * SECOND, isn=90_000 * at + 9, answer=8)
    found = rules_of(judged(before, tmp_path, nsg(tmp_path / "g.json", deny("all", 100, 9443))))
    (one,) = found["nsg-deny"]
    assert one.verdict is Verdict.UNDECIDED and not one.paths
    assert any("3 connections that the same rule denies were served meanwhile" in text for text in one.caveats)
    assert found["blocked-traffic"][0].count == 3


def test_doubts_a_rule_when_the_packets_reached_the_member(tmp_path: Path) -> None:
    (tmp_path / "captures").mkdir()
    wire = Wire()
    alive(wire)
    for at in range(3):
        ignore(wire, call(1, 40000 + at), T0 + at * MS, isn=1000 * at)
    found = rules_of(judged(wire, tmp_path, nsg(tmp_path / "g.json", deny("deny-shop", 200, 9443))))
    one = next(one for one in found["nsg-deny"] if dict(one.subject) == {"member": VICTIM})
    assert (one.verdict, one.facts["rule_name"], one.paths) == (Verdict.UNDECIDED, "deny-shop", ())
    assert any("reached the member's own interface" in text for text in one.caveats)
    assert found["blocked-traffic"][0].facts["where"] == "in-member"


def test_doubts_an_inbound_rule_when_the_member_answered(tmp_path: Path) -> None:
    (tmp_path / "captures").mkdir()
    wire = Wire()
    alive(wire)
    for at in range(3):
        hops = call(1, 40000 + at)
        ignore(wire, hops, T0, isn=1000 * at)
        for again in range(3):
            wire.packet(hops, T0 + (2**again) * SECOND, SYN | ACK, 999_000 + at, 1000 * at + 1, back=True, upto=1)
    found = rules_of(judged(wire, tmp_path, nsg(tmp_path / "g.json", deny("deny-shop", 200, 9443, CLIENTS[0]))))
    one = next(one for one in found["nsg-deny"] if dict(one.subject) == {"member": VICTIM})
    assert (one.verdict, one.paths) == (Verdict.UNDECIDED, ())
    assert found["blocked-traffic"][0].facts["where"] == "return-path"


@pytest.mark.parametrize("port", [9443, 22])
def test_denied_connections_of_which_nothing_was_captured(tmp_path: Path, port: int) -> None:
    # Only the member was captured: what a group drops is in the log and nowhere else.
    (tmp_path / "captures").mkdir()
    wire = Wire()
    for at in range(12):
        accept(wire, call(1, 45000 + at, points="host"), T0 + at * SECOND, isn=2_000_000 * at + 77, answer=6)
    records = [(T0 / SECOND + 3, "198.51.100.99", 40000 + at, "10.1.0.5", port, "D") for at in range(4)]
    long_after = [(T0 / SECOND + 4000, "198.51.100.99", 50000, "10.1.0.5", port, "D")]
    log = rule_files.nsg_flow_log(tmp_path / "log", records + long_after)
    found = rules_of(judged(wire, tmp_path, logs=(log,))).get("nsg-deny", [])
    # On ports that nobody is meant to call, denying is what a group is for.
    assert len(found) == (port == 9443)
    for one in found:
        assert (dict(one.subject), one.count, one.verdict) == ({"member": VICTIM}, 4, Verdict.CONFIRMED)
        assert (one.facts["rule_name"], one.facts["nsg"]) == ("deny-shop", "SHOP-NSG")
        assert {item.note for item in one.evidence} == {"the capture at the member is running"}


def test_doubts_less_where_the_member_was_not_captured(tmp_path: Path) -> None:
    (tmp_path / "captures").mkdir()
    wire = Wire()
    for at in range(3):
        ignore(wire, call(1, 40000 + at, points="front back"), T0 + at * MS, isn=1000 * at)
    (one,) = rules_of(judged(wire, tmp_path, nsg(tmp_path / "g.json", deny("deny-shop", 200, 9443))))["nsg-deny"]
    assert one.verdict is Verdict.LIKELY and any("a member that is down" in text for text in one.caveats)


def test_a_group_without_memory_drops_the_answers(tmp_path: Path) -> None:
    (tmp_path / "captures").mkdir()
    wire = Wire()
    alive(wire)
    for at in range(3):
        hops = call(1, 40000 + at)
        ignore(wire, hops, T0, isn=1000 * at)
        for again in range(3):
            wire.packet(hops, T0 + (2**again) * SECOND, SYN | ACK, 999_000 + at, 1000 * at + 1, back=True, upto=1)

    def entry(number: int, egress: bool, action: str, **more: Any) -> dict[str, Any]:
        return {
            "CidrBlock": "0.0.0.0/0",
            "Egress": egress,
            "Protocol": "-1",
            "RuleAction": action,
            "RuleNumber": number,
            **more,
        }

    entries = [entry(100, False, "allow"), entry(100, True, "allow", Protocol="6", PortRange={"From": 443, "To": 443})]
    entries += [entry(32767, egress, "deny") for egress in (False, True)]
    file = tmp_path / "acl.json"
    file.write_text(json.dumps({"NetworkAcls": [{"NetworkAclId": "acl-1", "Entries": entries, "Associations": []}]}))
    (one,) = rules_of(judged(wire, tmp_path, str(file)))["nsg-deny"]
    assert (one.facts["rule_name"], one.facts["direction"], one.facts["where"]) == (
        "implicit deny",
        "outbound",
        "return-path",
    )
    assert any("allow TCP to 198.51.100.7/32, ports 1024-65535" in text for text in one.remedy)


def lost_probes(folder: Path) -> Wire:
    (folder / "captures").mkdir()
    wire = Wire()
    for at in range(8):
        accept(wire, probe(0, 50000 + at), T0 + at * 5 * SECOND, isn=1000 * at, answer=5)
        accept(wire, call(0, 45000 + at), T0 + at * 5 * SECOND, isn=2000 * at + 7, answer=6)
        accept(wire, call(1, 46000 + at), T0 + at * 5 * SECOND, isn=3000 * at + 7, answer=6)
        ignore(wire, [probe(1, 51000 + at)[0]], T0 + at * 5 * SECOND, isn=4000 * at, tries=1)
    return wire


def test_flags_probes_that_a_rule_drops(tmp_path: Path) -> None:
    # A deny for the network's tag catches the prober, whose address is part of it.
    file = nsg(tmp_path / "g.json", allow("open", 300, 9443), deny("no-vnet", 310, "*", "VirtualNetwork"))
    found = rules_of(judged(lost_probes(tmp_path), tmp_path, f"{file}=vm-b", topology=PROBED))
    (one,) = found["nsg-deny"]
    assert dict(one.subject) == {"member": "10.1.0.5:9999"}
    assert (one.facts["rule_name"], one.facts["priority"], one.verdict) == ("no-vnet", 310, Verdict.LIKELY)
    assert any("AzureLoadBalancer" in text for text in one.remedy)
    (blocked,) = found["probe-blocked"]
    assert blocked.facts["because"] == one.id


def test_spares_probes_that_the_default_rules_let_in(tmp_path: Path) -> None:
    file = nsg(tmp_path / "g.json", allow("open", 300, 9443))
    found = rules_of(judged(lost_probes(tmp_path), tmp_path, file, topology=PROBED))
    (blocked,) = found["probe-blocked"]
    assert "nsg-deny" not in found and "because" not in blocked.facts
    assert "No rule explains this: AllowVnetInBound of shop-nsg lets it in." in blocked.summary


def test_doubts_a_rule_that_will_kill_probes_which_pass_so_far(before: Wire, tmp_path: Path) -> None:
    file = nsg(tmp_path / "g.json", allow("open", 300, 9443), deny("all", 310, "*"))
    found = rules_of(judged(before, tmp_path, f"{file}=vm-a", topology=PROBED))
    (one,) = found["nsg-deny"]
    assert dict(one.subject) == {"member": "10.1.0.4:9999"}
    assert one.verdict is Verdict.UNDECIDED and "will drop them" in one.summary


def test_foretells_probes_that_were_not_seen(tmp_path: Path) -> None:
    (tmp_path / "captures").mkdir()
    wire = Wire()
    for at in range(3):
        accept(wire, call(0, 45000 + at), T0 + at * SECOND, isn=2000 * at + 7, answer=6)
    file = nsg(tmp_path / "g.json", allow("open", 300, 9443), deny("all", 310, "*"))
    (one,) = rules_of(judged(wire, tmp_path, file, topology=PROBED))["nsg-deny"]
    assert dict(one.subject) == {"member": "10.1.0.4:9999"} and one.facts["rule_name"] == "all"
    assert one.evidence and PROBER in one.summary


def test_what_was_given_is_listed_with_its_hash_and_use(before: Wire, tmp_path: Path) -> None:
    mine = nsg(tmp_path / "g.json", deny("deny-shop", 200, 9443))
    other = nsg(tmp_path / "h.json", deny("deny-shop", 200, 9443))
    log = rule_files.nsg_flow_log(tmp_path / "log", [*tuples("D"), (T0 / SECOND, "192.0.2.1", 1, "192.0.2.2", 2, "D")])
    listed = judged(before, tmp_path, f"{mine}=vm-b", f"{other}=192.0.2.77", logs=(log,)).given
    assert (listed[0].option, listed[0].used) == (
        "topology",
        ("3 of its 3 addresses are in the captures", "names points"),
    )
    given = listed[1:]
    assert [(one.option, one.path) for one in given] == [("nsg", mine), ("nsg", other), ("flow-log", log)]
    assert all(len(one.sha256) == 64 for one in given)
    assert [one.used for one in given] == [
        ("evaluated for 10.1.0.5",), (), ("3 records are of connections in the captures",),
    ]  # fmt: skip


def test_rules_of_several_places_are_not_used_and_said_so(before: Wire, tmp_path: Path) -> None:
    groups = [json.loads(Path(nsg(tmp_path / "g.json", deny("all", 100, "*"), name=name)).read_text()) for name in "ab"]
    (tmp_path / "list.json").write_text(json.dumps(groups))
    settings = Settings(nsg=(str(tmp_path / "list.json"),))
    (tmp_path / "topology.toml").write_text(TOPOLOGY)
    held = analyze(before.write(tmp_path / "captures"), topology=str(tmp_path / "topology.toml"), settings=settings)
    assert "nsg-deny" not in rules_of(held)
    (said,) = held.problems
    assert "holds rules of several places and does not say which is whose" in said and "list.json=WHERE" in said


def test_addresses_are_those_the_members_rules_see(tmp_path: Path) -> None:
    # Behind a balancer that puts its own address in, the client's is not what the rule is asked about.
    (tmp_path / "captures").mkdir()
    wire = Wire()
    alive(wire)
    for at in range(3):
        hops = [Hop("front", (CLIENTS[1], 40000 + at), ("203.0.113.9", 443), 61, 100_000, 63),
                Hop("back", ("10.1.0.1", 50000 + at), ("10.1.0.5", 9443), 60, 160_000, 64)]  # fmt: skip
        ignore(wire, hops, T0 + at * MS, isn=1000 * at + 5)
    file = nsg(
        tmp_path / "g.json", allow("clients", 100, 9443, "198.51.100.0/24"), deny("balancer", 200, 9443, "10.1.0.1")
    )
    (one,) = rules_of(judged(wire, tmp_path, file))["nsg-deny"]
    assert one.facts["rule_name"] == "balancer"
