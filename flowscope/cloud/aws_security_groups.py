"""AWS security groups: only allows, no order, answers need no rule (``aws ec2 describe-security-groups``).

Source: Amazon EC2 API, SecurityGroup and IpPermission (2016-11-15).
"""

from __future__ import annotations

from typing import Any

from flowscope.cloud.json_tree import Object, items, outermost, texts
from flowscope.cloud.security_rules import ANY_PORT, Direction, Network, Ports, Rule, RuleSet, Side, network
from flowscope.errors import GivenFileError

_FULL = "give the whole output of `aws ec2 describe-security-groups` (--output json, no --query)"
_PROTOCOLS = {"-1": None, "all": None, "tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}


def read_groups(tree: Any, file: str) -> list[RuleSet]:
    """The groups of a file; none when it holds no security groups.

    Raises:
        GivenFileError: a permission has a protocol, port or prefix that is none.
    """
    wanted = outermost(tree, lambda one: "groupid" in one and isinstance(one.get("ippermissions"), list))
    return [_group(one, file) for one in wanted]


def _group(group: Object, file: str) -> RuleSet:
    name = str(group.get("groupname") or group["groupid"])
    rules: list[Rule] = []
    kinds: tuple[tuple[str, Direction], ...] = (("ippermissions", "inbound"), ("ippermissionsegress", "outbound"))
    for key, direction in kinds:
        for number, permission in enumerate(items(group, key), 1):
            if not isinstance(permission, dict):
                raise GivenFileError(file, f"{name}: a permission that is no object; {_FULL}")
            rules.append(_rule(permission, f"{direction} permission {number}", direction, file, name))
    return RuleSet(name, file, tuple(rules), order="any-allow", level="interface", scope=str(group["groupid"]))


def _rule(permission: Object, label: str, direction: Direction, file: str, group: str) -> Rule:
    protocol = protocol_number(permission.get("ipprotocol"), file, group)
    networks: list[Network] = []
    for text in _texts(permission, ("ipranges", "cidrip"), ("ipv6ranges", "cidripv6")):
        prefix = network(text)
        if prefix is None:
            raise GivenFileError(file, f"{group}: {text!r} is no prefix")
        networks.append(prefix)
    names = [f"group {one}" for one in _texts(permission, ("useridgrouppairs", "groupid"))]
    names += _texts(permission, ("prefixlistids", "prefixlistid"))
    other = Side(tuple(networks), tuple(names))
    anything = Side(anything=True)
    return Rule(
        name=label,
        direction=direction,
        allow=True,
        priority=None,
        protocol=protocol,
        source=other if direction == "inbound" else anything,
        destination=anything if direction == "inbound" else other,
        destination_ports=_ports(permission, protocol, file, group),
    )


def protocol_number(value: object, file: str, group: str) -> int | None:
    """The IP protocol of a rule (a name, or a number as text); None for any.

    Raises:
        GivenFileError: it is none.
    """
    text = str(value).lower()
    if text in _PROTOCOLS:
        return _PROTOCOLS[text]
    if text.isdecimal() and int(text) < 256:
        return int(text)
    raise GivenFileError(file, f"{group}: protocol {value!r} is none that AWS prints; {_FULL}")


def _ports(permission: Object, protocol: int | None, file: str, group: str) -> Ports:
    first, last = permission.get("fromport"), permission.get("toport")
    # ICMP keeps its type and code in these fields.
    if protocol not in (6, 17) or first is None or last is None or (first, last) == (-1, -1):
        return ANY_PORT
    if not isinstance(first, int) or not isinstance(last, int) or not 0 <= first <= last <= 65535:
        raise GivenFileError(file, f"{group}: ports {first!r} to {last!r} are no range")
    return ((first, last),)


def _texts(permission: Object, *keys: tuple[str, str]) -> list[str]:
    return [
        text
        for outer, inner in keys
        for one in items(permission, outer)
        for text in (texts(one, inner) if isinstance(one, dict) else [str(one)])
    ]
