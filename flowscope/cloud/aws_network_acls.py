"""AWS network ACLs: numbered allows and denies of a subnet, without memory (``aws ec2 describe-network-acls``).

Source: Amazon EC2 API, NetworkAcl and NetworkAclEntry (2016-11-15); rule 32767 is the implicit deny.
"""

from __future__ import annotations

from typing import Any

from flowscope.cloud.aws_security_groups import protocol_number
from flowscope.cloud.json_tree import Object, items, outermost, texts
from flowscope.cloud.security_rules import ANY_PORT, Direction, Ports, Rule, RuleSet, Side, check_priorities, network
from flowscope.errors import GivenFileError

_FULL = "give the whole output of `aws ec2 describe-network-acls` (--output json, no --query)"
_IMPLICIT = 32767


def read_groups(tree: Any, file: str) -> list[RuleSet]:
    """The ACLs of a file; none when it holds none.

    Raises:
        GivenFileError: an entry lacks what it must have, or two share a number.
    """
    wanted = outermost(tree, lambda one: "networkaclid" in one and isinstance(one.get("entries"), list))
    return [check_priorities(_acl(one, file)) for one in wanted]


def subnets_of(tree: Any) -> dict[str, list[str]]:
    """Ids of the subnets that each ACL stands in front of, by ACL id."""
    wanted = outermost(tree, lambda one: "networkaclid" in one and isinstance(one.get("entries"), list))
    return {
        str(one["networkaclid"]): [
            text for each in items(one, "associations") if isinstance(each, dict) for text in texts(each, "subnetid")
        ]
        for one in wanted
    }


def _acl(acl: Object, file: str) -> RuleSet:
    name = str(acl["networkaclid"])
    rules = tuple(_rule(entry, file, name) for entry in items(acl, "entries"))
    # IPv4 and IPv6 each have their implicit deny, under one number.
    last = {(rule.direction, rule.priority): rule for rule in rules if rule.default}
    rules = tuple(rule for rule in rules if not rule.default) + tuple(last.values())
    return RuleSet(name, file, rules, stateful=False, level="subnet", scope=name)


def _rule(entry: Any, file: str, acl: str) -> Rule:
    if not isinstance(entry, dict):
        raise GivenFileError(file, f"{acl}: an entry that is no object; {_FULL}")
    number, action, egress = entry.get("rulenumber"), str(entry.get("ruleaction")).lower(), entry.get("egress")
    if not isinstance(number, int) or action not in ("allow", "deny") or not isinstance(egress, bool):
        raise GivenFileError(file, f"{acl}: an entry without RuleNumber, RuleAction or Egress; {_FULL}")
    direction: Direction = "outbound" if egress else "inbound"
    written = texts(entry, "cidrblock", "ipv6cidrblock")
    networks = [network(text) for text in written]
    if None in networks:
        raise GivenFileError(file, f"{acl}: rule {number}: {written[networks.index(None)]!r} is no prefix")
    default = number == _IMPLICIT
    other = Side(anything=True) if default or not written else Side(tuple(one for one in networks if one is not None))
    protocol = protocol_number(entry.get("protocol"), file, acl)
    return Rule(
        name="implicit deny" if default and action == "deny" else f"rule {number}",
        direction=direction,
        allow=action == "allow",
        priority=number,
        protocol=protocol,
        source=other if direction == "inbound" else Side(anything=True),
        destination=Side(anything=True) if direction == "inbound" else other,
        destination_ports=_ports(entry, protocol, file, acl),
        default=default,
    )


def _ports(entry: Object, protocol: int | None, file: str, acl: str) -> Ports:
    given = entry.get("portrange")
    if not isinstance(given, dict) or protocol not in (6, 17):
        return ANY_PORT
    first, last = given.get("from"), given.get("to")
    if not isinstance(first, int) or not isinstance(last, int) or not 0 <= first <= last <= 65535:
        raise GivenFileError(file, f"{acl}: ports {first!r} to {last!r} are no range")
    return ((first, last),)
