"""Azure Load Balancer's own definition (``az network lb show`` or ``list``, REST) as a topology.

Rules become frontends, each with its pool and probe; the file of an interface (``az network nic show``) or a public
address (``az network public-ip show``) tells what the balancer's own file only has ids of.

Source: Microsoft.Network REST API, LoadBalancers - Get (2024-01-01).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from flowscope.cloud.definition import Definition, address_of, port_of, seconds_of
from flowscope.cloud.json_tree import Object, flat, items, last_part, objects, outermost
from flowscope.cloud.names import PLATFORM
from flowscope.nat.topology import Member, Mode, Probe, Snat

_PARTS = ("loadbalancingrules", "backendaddresspools", "frontendipconfigurations")


def read_balancers(tree: Any, known: Definition) -> int:
    """Adds the balancers of a file; returns how many there were.

    Args:
        tree: all the files that were given, so that ids are found in each other's.
        known: gets what they say.
    """
    wanted = [flat(one) for one in outermost(tree, _is_balancer)]
    ids = _Ids.of(tree)
    for one in wanted:
        _balancer(one, ids, known)
    return len(wanted)


def _is_balancer(value: Object) -> bool:
    inner = flat(value)
    # Pools list rules, too, but only a balancer has frontends beside them.
    return sum(isinstance(inner.get(part), list) for part in _PARTS) >= 2 and "frontendipconfigurations" in inner


@dataclass(frozen=True, slots=True)
class _Ids:
    """Addresses by resource id, in lower case."""

    addresses: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: Any) -> _Ids:
        found: dict[str, str] = {}
        for one in objects(tree):
            value = flat(one)
            address = address_of(value.get("privateipaddress")) or address_of(value.get("ipaddress"))
            if address and isinstance(one.get("id"), str):
                found[one["id"].lower()] = address
        return cls(found)

    def find(self, reference: object) -> str | None:
        """The address of a reference: its own, or that of its id."""
        if not isinstance(reference, dict):
            return None
        value = flat(reference)
        own = address_of(value.get("privateipaddress")) or address_of(value.get("ipaddress"))
        return own or self.addresses.get(str(reference.get("id") or "").lower())


def _balancer(balancer: Object, ids: _Ids, known: Definition) -> None:
    name = str(balancer.get("name") or last_part(balancer.get("id")))
    fronts = _by_id(balancer, "frontendipconfigurations")
    pools, probes = _by_id(balancer, "backendaddresspools"), _by_id(balancer, "probes")
    known.count("balancers")
    for what, listed in (("frontend addresses", fronts), ("pools", pools), ("probes", probes)):
        known.count(what, len(listed))
    for rule in map(flat, _objects(balancer, "loadbalancingrules")):
        known.count("rules")
        pool_ids = [one for key in ("backendaddresspool",) for one in [rule.get(key)] if one]
        pool_ids += items(rule, "backendaddresspools")
        members = [
            member
            for reference in {_id(one): one for one in pool_ids}
            for member in _members(pools.get(reference, {}), port_of(rule.get("backendport")), ids, known)
        ]
        probe = probes.get(_id(rule.get("probe")))
        pool = known.pool(_pool_name(pool_ids, name), members, _probe(flat(probe)) if probe else None)
        _frontend(rule, fronts, pool, ids, known)
    for rule in map(flat, _objects(balancer, "outboundrules")):
        known.count("outbound rules")
        _outbound(rule, fronts, pools, ids, known)
    for rule in map(flat, _objects(balancer, "inboundnatrules")):
        known.count("inbound NAT rules")
        target, port = rule.get("backendipconfiguration"), port_of(rule.get("backendport"))
        address = ids.find(target)
        label = str(rule.get("name") or "inbound NAT rule")
        if address is None or port is None:
            known.say(
                f"inbound NAT rule {label}: its machine's address is not in the file (az network nic show has it)"
            )
            continue
        _frontend(rule, fronts, known.pool(label, [Member(_machine(target) or address, address, port)]), ids, known)


def _frontend(rule: Object, fronts: dict[str, Object], pool: str | None, ids: _Ids, known: Definition) -> None:
    label = str(rule.get("name") or last_part(rule.get("id")) or "rule")
    front = fronts.get(_id(rule.get("frontendipconfiguration")), {})
    address = _front_address(front, ids)
    port, protocol = port_of(rule.get("frontendport")), str(rule.get("protocol") or "tcp").lower()
    if port is None or protocol not in ("tcp", "udp"):
        known.say(f"rule {label} balances all ports (HA ports): give the ports that matter as [[frontend]] tables")
        return
    if address is None:
        known.say(
            f"rule {label}: its frontend {front.get('name', '')} has a public address that is not in the file "
            "(az network public-ip show has it)"
        )
        return
    mode: Mode = "dsr" if rule.get("enablefloatingip") is True else "dnat"
    idle = rule.get("idletimeoutinminutes")
    known.frontend(
        label, address, port, pool, mode, protocol=protocol,
        idle_timeout_s=float(idle) * 60 if isinstance(idle, int | float) and idle > 0 else None,
    )  # fmt: skip


def _front_address(front: Object, ids: _Ids) -> str | None:
    value = flat(front)
    return address_of(value.get("privateipaddress")) or ids.find(value.get("publicipaddress"))


def _members(pool: Object, port: int | None, ids: _Ids, known: Definition) -> list[Member]:
    value, name = flat(pool), str(pool.get("name") or "")
    found: dict[str, Member] = {}
    missing = 0
    entries = [flat(one) for one in _objects(value, "loadbalancerbackendaddresses")]
    machines = [(one, one.get("networkinterfaceipconfiguration") or one) for one in entries]
    machines += [(one, one) for one in _objects(value, "backendipconfigurations")]
    seen: set[str] = set()
    for entry, reference in machines:
        key = _id(reference) or str(entry.get("ipaddress") or entry.get("name"))
        address = address_of(entry.get("ipaddress")) or ids.find(reference)
        if address is None:
            missing += key not in seen
        elif port is not None:
            enabled = str(entry.get("adminstate") or "").lower() != "down"
            label = _machine(reference) or str(entry.get("name") or address)
            found.setdefault(address, Member(label, address, port, enabled))
        seen.add(key)
    known.count("pool entries", len(seen))
    if missing:
        known.say(
            f"pool {name}: {missing} members are known by interface only; give their `az network nic show` with "
            "another --topology, too"
        )
    return list(found.values())


def _machine(reference: object) -> str | None:
    """The interface's name in ``.../networkInterfaces/NAME/ipConfigurations/...``."""
    parts = _id(reference).split("/")
    original = str(reference.get("id") or "").split("/") if isinstance(reference, dict) else []
    return original[parts.index("networkinterfaces") + 1] if "networkinterfaces" in parts[:-1] else None


def _probe(probe: Object) -> Probe:
    protocol = str(probe.get("protocol") or "tcp").lower()
    interval = seconds_of(probe.get("intervalinseconds"), 5.0)
    path = str(probe.get("requestpath") or "/")
    return Probe(
        source=(ipaddress.ip_network(str(PLATFORM)),),
        protocol="https" if protocol == "https" else "http" if protocol == "http" else "tcp",
        port=port_of(probe.get("port")),
        path=path if path.startswith("/") else f"/{path}",
        interval_s=interval,
        # No timeout of its own: a probe has failed when the next one is due.
        timeout_s=min(interval, 30.0),
        policy="azure-lb",
    )


def _outbound(rule: Object, fronts: dict[str, Object], pools: dict[str, Object], ids: _Ids, known: Definition) -> None:
    label = str(rule.get("name") or "outbound rule")
    ports = rule.get("allocatedoutboundports")
    pool = pools.get(_id(rule.get("backendaddresspool")), {})
    inside = [one.address for one in _members(pool, 1, ids, known)]
    for reference in items(rule, "frontendipconfigurations"):
        address = _front_address(fronts.get(_id(reference), {}), ids)
        if address is None:
            known.say(
                f"outbound rule {label}: its public address is not in the file (az network public-ip show has it)"
            )
        elif all(one.address != address for one in known.snats):
            prefixes = tuple(ipaddress.ip_network(one) for one in inside)
            share = ports if isinstance(ports, int) and ports > 0 else None
            known.snats.append(Snat(address, ports_per_member=share, inside=prefixes))


def _by_id(value: Object, key: str) -> dict[str, Object]:
    return {_id(one): one for one in _objects(value, key)}


def _objects(value: Object, key: str) -> list[Object]:
    return [one for one in items(value, key) if isinstance(one, dict)]


def _id(reference: object) -> str:
    return str(reference.get("id") or reference.get("name") or "").lower() if isinstance(reference, dict) else ""


def _pool_name(references: list[Any], balancer: str) -> str:
    return last_part(references[0].get("id")) if references and isinstance(references[0], dict) else balancer
