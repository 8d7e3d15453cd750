"""AWS load balancers (``aws elbv2 describe-*``) as a topology.

One balancer is told by several commands: load balancers, listeners, target groups, target health; and instances or
network interfaces, which turn ids into addresses. All of them may be given, each with its own ``--topology``.

Source: Elastic Load Balancing API 2015-12-01; Network Load Balancer user guide, edit target group attributes.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from flowscope.cloud.definition import Definition, address_of, port_of, seconds_of
from flowscope.cloud.json_tree import Object, items, objects, texts
from flowscope.nat.topology import Member, Mode, Network, Probe


def read_balancers(tree: Any, known: Definition) -> int:
    """Adds the balancers of all files; returns how many objects of them there were.

    Args:
        tree: all the files that were given.
        known: gets what they say.
    """
    parts = _Parts.of(tree)
    for what, number in (
        ("load balancers", len(parts.balancers)), ("listeners", len(parts.listeners)),
        ("target groups", len(parts.groups)), ("health lists", parts.healths),
        ("targets", sum(map(len, parts.targets.values()))),
    ):  # fmt: skip
        known.count(what, number)
    pools = {arn: _pool(arn, parts, known) for arn in parts.groups}
    _orphans(parts, known)
    for listener in parts.listeners:
        _listener(listener, parts, pools, known)
    if parts.balancers and not parts.listeners:
        known.say("load balancers without listeners: give `aws elbv2 describe-listeners` with another --topology, too")
    if parts.groups and not any(parts.targets.values()):
        known.say("target groups without targets: give `aws elbv2 describe-target-health` with another --topology, too")
    return len(parts.balancers) + len(parts.listeners) + len(parts.groups) + parts.healths


@dataclass(slots=True)
class _Parts:
    """What the commands print, by ARN or id."""

    balancers: dict[str, Object] = field(default_factory=dict)
    listeners: list[Object] = field(default_factory=list)
    groups: dict[str, Object] = field(default_factory=dict)
    targets: dict[str, list[Object]] = field(default_factory=dict)
    """By target group; under the empty text those whose group the output does not say."""
    healths: int = 0
    addresses: dict[str, str] = field(default_factory=dict)
    """By instance id."""
    own: dict[str, list[str]] = field(default_factory=dict)
    """Addresses of a balancer's interfaces, by ``net/NAME/HASH`` or ``app/NAME/HASH``."""

    @classmethod
    def of(cls, tree: Any) -> _Parts:
        found = cls()
        for one in objects(tree):
            if "loadbalancerarn" in one and "loadbalancername" in one:
                found.balancers[str(one["loadbalancerarn"])] = one
            elif "listenerarn" in one and "defaultactions" in one:
                found.listeners.append(one)
            elif "targetgrouparn" in one and "targetgroupname" in one:
                found.groups[str(one["targetgrouparn"])] = one
            elif isinstance(one.get("targethealthdescriptions"), list):
                found.healths += 1
                group = str(one.get("targetgrouparn") or "")
                found.targets.setdefault(group, []).extend(
                    each for each in one["targethealthdescriptions"] if isinstance(each, dict)
                )
            private = address_of(one.get("privateipaddress"))
            if "instanceid" in one and private:
                found.addresses[str(one["instanceid"])] = private
            description = str(one.get("description") or "")
            if private and description.startswith("ELB "):
                found.own.setdefault(description[4:], []).append(private)
        if "" in found.targets and len(found.groups) == 1:
            found.targets[next(iter(found.groups))] = found.targets.pop("")
        return found


def _pool(arn: str, parts: _Parts, known: Definition) -> str | None:
    group = parts.groups[arn]
    name = str(group["targetgroupname"])
    return known.pool(name, _members(name, parts.targets.get(arn, []), group, parts, known), _probe(group, parts))


def _orphans(parts: _Parts, known: Definition) -> None:
    """Targets whose group the output does not name are a pool all the same."""
    targets = parts.targets.get("", [])
    if targets:
        known.pool("targets", _members("targets", targets, {}, parts, known))
        known.say("describe-target-health does not say whose targets it prints: its pool is called 'targets'")


def _members(name: str, targets: list[Object], group: Object, parts: _Parts, known: Definition) -> list[Member]:
    found = []
    for one in targets:
        target = one.get("target")
        identifier = str(target.get("id") or "") if isinstance(target, dict) else ""
        address = address_of(identifier) or parts.addresses.get(identifier)
        port = port_of(target.get("port") if isinstance(target, dict) else None) or port_of(group.get("port"))
        if address is None:
            known.say(
                f"{name}: the address of target {identifier} is not in the file; give `aws ec2 describe-instances` "
                "with another --topology, too"
            )
        elif port is not None:
            health = one.get("targethealth")
            state = str(health.get("state") or "") if isinstance(health, dict) else ""
            found.append(Member(identifier or address, address, port, state not in ("draining", "unused")))
    return found


def _probe(group: Object, parts: _Parts) -> Probe | None:
    if group.get("healthcheckenabled") is False:
        return None
    protocol = str(group.get("healthcheckprotocol") or "TCP").lower()
    balancers = [parts.balancers.get(arn, {}) for arn in texts(group, "loadbalancerarns")]
    network_kind = any(one.get("type") == "network" for one in balancers) or str(group.get("protocol")) in (
        "TCP",
        "TLS",
        "UDP",
        "TCP_UDP",
    )
    sources: dict[Network, None] = {}
    for arn in texts(group, "loadbalancerarns"):
        for address in parts.own.get(_path(arn), []):
            sources[ipaddress.ip_network(address)] = None
    return Probe(
        source=tuple(sources),
        protocol="https" if protocol == "https" else "http" if protocol == "http" else "tcp",
        # "traffic-port" is the target's own.
        port=port_of(group.get("healthcheckport")),
        path=str(group.get("healthcheckpath") or "/"),
        interval_s=seconds_of(group.get("healthcheckintervalseconds"), 30.0),
        timeout_s=seconds_of(group.get("healthchecktimeoutseconds"), 10.0),
        policy="aws-nlb" if network_kind else "generic",
        unhealthy_threshold=_whole(group.get("unhealthythresholdcount")),
        healthy_threshold=_whole(group.get("healthythresholdcount")),
    )


def _listener(listener: Object, parts: _Parts, pools: dict[str, str | None], known: Definition) -> None:
    arn = str(listener.get("loadbalancerarn") or "")
    balancer, port = parts.balancers.get(arn, {}), port_of(listener.get("port"))
    name = str(balancer.get("loadbalancername") or _path(arn))
    protocol = str(listener.get("protocol") or "TCP")
    groups = [
        target
        for action in items(listener, "defaultactions")
        if isinstance(action, dict)
        for target in (
            *texts(action, "targetgrouparn"),
            *(text for each in _weighted(action) for text in texts(each, "targetgrouparn")),
        )
    ]
    chosen = list(dict.fromkeys(groups))
    if len(chosen) > 1:
        known.say(f"listener {port} of {name} has {len(chosen)} target groups; the first is taken for its pool")
    pool = pools.get(chosen[0]) if chosen else None
    group = parts.groups.get(chosen[0], {}) if chosen else {}
    addresses = _addresses(balancer, arn, parts)
    if not addresses:
        known.say(
            f"{name}: its addresses are not in the file (only its name); give `aws ec2 describe-network-interfaces` "
            "with another --topology, too"
        )
    for address in addresses if port is not None else []:
        known.frontend(
            f"{name}:{port}", address, int(port or 0), pool, _mode(protocol, group),
            protocol="udp" if protocol == "UDP" else "tcp",
        )  # fmt: skip


def _weighted(action: Object) -> list[Object]:
    """Target groups of an action that splits its traffic."""
    config = action.get("forwardconfig")
    return [one for one in items(config, "targetgroups") if isinstance(one, dict)] if isinstance(config, dict) else []


def _mode(protocol: str, group: Object) -> Mode:
    if protocol in ("HTTP", "HTTPS", "TLS"):
        return "proxy"
    # Instance targets keep the client's address by default; address targets of TCP do not.
    return "dnat+snat" if group.get("targettype") == "ip" and protocol == "TCP" else "dnat"


def _addresses(balancer: Object, arn: str, parts: _Parts) -> list[str]:
    found: dict[str, None] = {}
    for zone in items(balancer, "availabilityzones"):
        for one in items(zone, "loadbalanceraddresses") if isinstance(zone, dict) else []:
            for text in texts(one, "privateipv4address", "ipaddress", "ipv6address"):
                if (address := address_of(text)) is not None:
                    found[address] = None
    return list(found) or parts.own.get(_path(arn), [])


def _path(arn: str) -> str:
    """``net/NAME/HASH`` of a balancer's ARN: what its interfaces are described with."""
    return arn.split("loadbalancer/", 1)[-1]


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
