"""Azure network security groups, in the four forms in which tools print them.

``az network nsg show`` or ``list`` (flattened or ARM), effective rules (``az network nic list-effective-nsg``), and
Network Watcher's group view (``az network watcher show-security-group-view``); PowerShell's spelling of any of them.
Keys in any case, wrappers of any kind.

Source: Microsoft.Network REST API, NetworkSecurityGroups, NetworkInterfaces - List Effective Network Security Groups,
NetworkWatchers - Get VM Security Rules (2020-11-01).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from flowscope.cloud.json_tree import Object, flat, items, last_part, outermost, texts
from flowscope.cloud.security_rules import (
    ANY_PORT,
    Direction,
    Level,
    Network,
    Ports,
    Rule,
    RuleSet,
    Side,
    check_priorities,
    network,
)
from flowscope.errors import GivenFileError

_PROTOCOLS = {"*": None, "all": None, "any": None, "tcp": 6, "udp": 17, "icmp": 1, "icmpv4": 1, "icmpv6": 58, "esp": 50, "ah": 51}  # fmt: skip # noqa: E501
_ANY = ("*", "any", "all")
_FULL = "give the whole output of `az network nsg show` or `az network nic list-effective-nsg` (-o json, no --query)"
Tags = dict[str, tuple[Network, ...]]


def read_groups(tree: Any, file: str) -> list[RuleSet]:
    """The groups of a file; none when it holds no form of a network security group.

    Raises:
        GivenFileError: a rule lacks what it must have, or two share a priority.
    """
    found: list[RuleSet] = []
    for one in outermost(tree, lambda value: _form(value) is not None):
        form = _form(one)
        found += (
            _view(one, file)
            if form == "view"
            else [_effective(one, file) if form == "effective" else _group(flat(one), file)]
        )
    return [check_priorities(one) for one in found]


def read_virtual_network(tree: Any) -> tuple[Network, ...]:
    """Prefixes of the virtual networks of a file (``az network vnet show``), peered ones included."""
    wanted = [flat(one) for one in outermost(tree, lambda one: "addressspace" in flat(one))]
    found = [network(text) for one in wanted for space in _spaces(one) for text in texts(space, "addressprefixes")]
    return tuple(one for one in found if one is not None)


def _spaces(vnet: Object) -> list[Object]:
    own = [vnet.get("addressspace")]
    for peering in items(vnet, "virtualnetworkpeerings"):
        if isinstance(peering, dict):
            own += [flat(peering).get("remoteaddressspace"), flat(peering).get("remotevirtualnetworkaddressspace")]
    return [space for space in own if isinstance(space, dict)]


def _form(value: Object) -> str | None:
    if "securityruleassociations" in value:
        return "view"
    if "effectivesecurityrules" in value:
        return "effective"
    inner = flat(value)
    return "group" if any(isinstance(inner.get(f"{kind}securityrules"), list) for kind in ("", "default")) else None


def _group(group: Object, file: str) -> RuleSet:
    name = str(group.get("name") or last_part(group.get("id")) or "network security group")
    tags: Tags = {}
    rules = [_rule(one, file, name, tags) for one in items(group, "securityrules")]
    rules += [replace(_rule(one, file, name, tags), default=True) for one in items(group, "defaultsecurityrules")]
    interfaces, subnets = items(group, "networkinterfaces"), items(group, "subnets")
    hosts = [*_addresses(interfaces), *_prefixes(subnets)]
    level: Level = "unknown" if bool(interfaces) == bool(subnets) else "interface" if interfaces else "subnet"
    return RuleSet(
        name, file, tuple(rules), level=level, hosts=tuple(hosts) or None,
        scope=str(group.get("id") or name), tags=tuple(tags.items()),
    )  # fmt: skip


def _effective(entry: Object, file: str) -> RuleSet:
    group = entry.get("networksecuritygroup")
    association = entry.get("association") if isinstance(entry.get("association"), dict) else {}
    assert isinstance(association, dict)
    name = last_part(group.get("id")) if isinstance(group, dict) else ""
    level = _level(association)
    name = name or ("security admin rules" if level == "network-manager" else "effective security rules")
    tags: Tags = {}
    rules = tuple(dict.fromkeys(_rule(one, file, name, tags) for one in items(entry, "effectivesecurityrules")))
    return RuleSet(name, file, rules, level=level, scope=_interface(association), tags=tuple(tags.items()))


def _level(association: Object) -> Level:
    kinds: tuple[tuple[str, Level], ...] = (
        ("networkmanager", "network-manager"), ("subnet", "subnet"), ("networkinterface", "interface"),
    )  # fmt: skip
    given: list[Level] = [level for key, level in kinds if association.get(key)]
    # Subnet and interface at once is one group in both places.
    return given[0] if given else "unknown"


def _interface(association: Object) -> str:
    interface = association.get("networkinterface")
    return str(interface.get("id") or "") if isinstance(interface, dict) else ""


def _view(view: Object, file: str) -> list[RuleSet]:
    """One interface of Network Watcher's view: its groups as they are, completed by the flat effective rules."""
    inside = view["securityruleassociations"]
    if not isinstance(inside, dict):
        return []
    scope = str(view.get("id") or "")
    tags: Tags = {}
    kinds: tuple[tuple[Level, str], ...] = (
        ("subnet", "subnetassociation"), ("interface", "networkinterfaceassociation"),
    )  # fmt: skip
    given: list[tuple[Level, Object]] = []
    for level, key in kinds:
        association = inside.get(key)
        if isinstance(association, dict) and items(association, "securityrules"):
            given.append((level, association))
    shared = [replace(_rule(one, file, scope, tags), default=True) for one in items(inside, "defaultsecurityrules")]
    shared += [_rule(one, file, scope, tags) for one in items(inside, "effectivesecurityrules")]
    if not given:
        given = [("unknown", {})]
    found = []
    for level, association in given:
        own = [_rule(one, file, scope, tags) for one in items(association, "securityrules")]
        name = _group_name(association) or last_part(scope) or "security group view"
        rules = {(rule.direction, rule.priority): rule for rule in own}
        for rule in shared:
            # The flat list repeats rules of either group under other names; only the defaults complete this one.
            if rule.default or not association or (rule.priority or 0) >= 65000:
                rules.setdefault((rule.direction, rule.priority), rule)
        listed = [*own, *(rule for rule in rules.values() if rule not in own)]
        found.append(RuleSet(name, file, tuple(listed), level=level, scope=scope, tags=tuple(tags.items())))
    return found


def _group_name(association: Object) -> str:
    """The group of an association, from the ids of its rules: ``.../networkSecurityGroups/NAME/securityRules/...``."""
    for rule in items(association, "securityrules"):
        match = re.search(r"/networksecuritygroups/([^/]+)/", str(rule.get("id") or ""), re.IGNORECASE)
        if match:
            return match[1]
    return ""


def _rule(value: Any, file: str, group: str, tags: Tags) -> Rule:
    if not isinstance(value, dict):
        raise GivenFileError(file, f"{group}: a rule that is no object; {_FULL}")
    rule = flat(value)
    name = re.sub(r"^(security|defaultsecurity|effectivesecurity)rules/", "", str(rule.get("name") or ""), flags=re.I)
    name = name or last_part(rule.get("id")) or "(without a name)"
    missing = [key for key in ("direction", "access", "priority") if rule.get(key) is None]
    if missing:
        raise GivenFileError(file, f"{group}: rule {name!r} has no {' and no '.join(missing)}; {_FULL}")
    direction, access = str(rule["direction"]).lower(), str(rule["access"]).lower()
    if direction not in ("inbound", "outbound") or access not in ("allow", "deny", "alwaysallow"):
        raise GivenFileError(
            file, f"{group}: rule {name!r} has direction {rule['direction']!r} and access {rule['access']!r}; {_FULL}"
        )
    chosen: Direction = "inbound" if direction == "inbound" else "outbound"
    return Rule(
        name=name,
        direction=chosen,
        allow=access != "deny",
        priority=_priority(rule["priority"], file, group, name),
        protocol=_protocol(rule.get("protocol"), file, group, name),
        source=_side(rule, "source", tags),
        source_ports=_ports(rule, "source", file, group, name),
        destination=_side(rule, "destination", tags),
        destination_ports=_ports(rule, "destination", file, group, name),
        default="defaultsecurityrules/" in str(rule.get("name") or "").lower(),
        final=access == "alwaysallow",
    )


def _priority(value: object, file: str, group: str, name: str) -> int:
    try:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError
        return int(value)
    except ValueError:
        raise GivenFileError(file, f"{group}: rule {name!r} has priority {value!r}, not a number; {_FULL}") from None


def _protocol(value: object, file: str, group: str, name: str) -> int | None:
    text = str("*" if value is None else value).lower()
    if text in _PROTOCOLS:
        return _PROTOCOLS[text]
    if text.isdecimal() and int(text) < 256:
        return int(text)
    raise GivenFileError(file, f"{group}: rule {name!r} has protocol {value!r}, none that is known")


def _side(rule: Object, side: str, tags: Tags) -> Side:
    written = texts(rule, f"{side}addressprefix", f"{side}addressprefixes")
    groups = [
        last_part(one.get("id")) if isinstance(one, dict) else str(one)
        for one in items(rule, f"{side}applicationsecuritygroups")
    ]
    if any(one.lower() in _ANY for one in written):
        return Side(anything=True)
    expanded = [one for text in texts(rule, f"expanded{side}addressprefix") if (one := network(text)) is not None]
    networks = [one for text in written if (one := network(text)) is not None]
    names = [text for text in written if network(text) is None]
    if expanded and len(names) == 1 and not networks:
        tags[names[0].lower()] = tuple(expanded)
    if not written and not groups:
        # Expanded prefixes alone are all there is; nothing at all means any.
        return Side(networks=tuple(expanded)) if expanded else Side(anything=True)
    return Side(tuple(networks), (*names, *(f"group {one}" for one in groups)))


def _ports(rule: Object, side: str, file: str, group: str, name: str) -> Ports:
    written = texts(rule, f"{side}portrange", f"{side}portranges")
    if not written or any(one.lower() in _ANY for one in written):
        return ANY_PORT
    found = []
    for one in written:
        match = re.fullmatch(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?", one)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= 65535:
            raise GivenFileError(file, f"{group}: rule {name!r} has {side} ports {one!r}, no port and no range")
        found.append((first, last))
    return tuple(sorted(found))


def _addresses(interfaces: list[Any]) -> list[Network]:
    """Private addresses of interfaces that the group lists in full."""
    found = []
    for interface in interfaces:
        for config in items(flat(interface), "ipconfigurations") if isinstance(interface, dict) else []:
            address = network(str(flat(config).get("privateipaddress") or "")) if isinstance(config, dict) else None
            found += [address] if address is not None else []
    return found


def _prefixes(subnets: list[Any]) -> list[Network]:
    """Prefixes of subnets that the group lists in full."""
    listed = [flat(subnet) for subnet in subnets if isinstance(subnet, dict)]
    found = [network(text) for one in listed for text in texts(one, "addressprefix", "addressprefixes")]
    return [one for one in found if one is not None]
