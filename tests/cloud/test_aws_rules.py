"""AWS groups and ACLs: permissions, numbers, what ties them to addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowscope.cloud.evaluate import evaluate, evaluate_answer
from flowscope.cloud.security_files import Security, join_security, read_security_file
from flowscope.errors import GivenFileError
from tests.cloud.rule_lines import packet

SAMPLES = Path(__file__).parent / "samples"


def joined(*names: str) -> Security:
    return join_security([read_security_file(str(SAMPLES / name)) for name in names], {})


def decided(security: Security, sent: str) -> str:
    one = packet(sent)
    sets, _ = security.before(one.dst if one.direction == "inbound" else one.src)
    return evaluate(sets, one, security.names).decision


def test_a_group_alone_does_not_say_in_front_of_whom_it_stands() -> None:
    one = joined("aws-security-groups.json")
    assert one.before("10.1.0.4") == ([], False)
    assert len(one.ambiguous()) == 1


@pytest.mark.parametrize(
    ("sent", "decision"),
    [
        ("in tcp 198.51.100.7:4 > 10.1.0.4:8080", "allow"),
        ("in tcp 198.51.100.7:4 > 10.1.0.4:8090", "allow"),
        ("in tcp 198.51.100.7:4 > 10.1.0.4:8091", "deny"),
        ("in tcp 203.0.113.7:4 > 10.1.0.4:8080", "deny"),
        ("in udp 198.51.100.7:4 > 10.1.0.4:8080", "deny"),
        # By group: the bastion has it, the member has not.
        ("in tcp 10.1.0.7:4 > 10.1.0.4:22", "allow"),
        ("in tcp 10.1.0.4:4 > 10.1.0.4:22", "deny"),
        # An interface that nobody gave may have it.
        ("in tcp 10.1.0.99:4 > 10.1.0.4:22", "unknown"),
        # ICMP keeps its type where others have ports.
        ("in icmp 203.0.113.7:0 > 10.1.0.4:0", "allow"),
        ("out tcp 10.1.0.4:4 > 203.0.113.7:443", "allow"),
        ("in tcp 203.0.113.7:4 > 10.1.0.7:22", "unknown"),
    ],
)
def test_groups(sent: str, decision: str) -> None:
    assert decided(joined("aws-security-groups.json", "aws-network-interfaces.json"), sent) == decision


def test_acls_are_tied_by_subnets_and_remember_nothing() -> None:
    one = joined("aws-network-acls.json", "aws-subnets.json")
    sets, told = one.before("10.1.0.4")
    assert told and len(sets) == 1 and not sets[0].stateful
    sent = packet("in tcp 198.51.100.7:50000 > 10.1.0.4:8080")
    assert evaluate(sets, sent, one.names).decision == "allow"
    back = evaluate_answer(sets, sent, one.names)
    assert (back.decision, back.rule_name, back.rule and back.rule.direction) == ("deny", "implicit deny", "outbound")
    assert evaluate(sets, packet("in tcp 198.51.100.7:5 > 10.1.0.4:22"), one.names).rule_name == "rule 110"


def damaged(change: Any) -> str:
    tree = json.loads((SAMPLES / "aws-security-groups.json").read_text())
    change(tree["SecurityGroups"][0]["IpPermissions"][0])
    return json.dumps(tree)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.update(IpProtocol="tpc"), "protocol 'tpc' is none that AWS prints"),
        (lambda one: one.update(FromPort="http"), "ports 'http' to 8090 are no range"),
        (lambda one: one.update(FromPort=9000), "ports 9000 to 8090 are no range"),
        (lambda one: one["IpRanges"][0].update(CidrIp="everywhere"), "'everywhere' is no prefix"),
    ],
)
def test_what_is_damaged_gets_one_clear_line(tmp_path: Path, change: Any, said: str) -> None:
    path = tmp_path / "groups.json"
    path.write_text(damaged(change))
    with pytest.raises(GivenFileError, match=said):
        read_security_file(str(path))


def test_two_entries_of_one_number_are_both_named(tmp_path: Path) -> None:
    tree = json.loads((SAMPLES / "aws-network-acls.json").read_text())
    tree["NetworkAcls"][0]["Entries"][1]["RuleNumber"] = 100
    path = tmp_path / "acl.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(GivenFileError, match="'rule 100' and 'rule 100' of acl-01 both have priority 100"):
        read_security_file(str(path))


def test_where_is_an_address_a_prefix_or_a_member(tmp_path: Path) -> None:
    file = read_security_file(f"{SAMPLES / 'aws-security-groups.json'}=10.1.0.0/24")
    one = join_security([file], {})
    assert [len(one.before(host)[0]) for host in ("10.1.0.4", "10.2.0.4")] == [2, 0]
    wrong = read_security_file(f"{SAMPLES / 'aws-security-groups.json'}=vm-x")
    with pytest.raises(GivenFileError, match="'vm-x' is no address, no prefix and no member; members are vm-a"):
        join_security([wrong], {"vm-a": ()})
