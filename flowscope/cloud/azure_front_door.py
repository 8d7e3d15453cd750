"""Azure Front Door's definition (``az network front-door show``, ``az afd origin-group`` and ``origin``) as a topology.

Front Door's own addresses are in no file: its origin groups become pools with the probe's settings, and origins that
are addresses become their members.

Source: Microsoft.Cdn REST API, AFDOriginGroups and AFDOrigins (2024-02-01); Microsoft.Network, FrontDoors (2021-06-01).
"""

from __future__ import annotations

from typing import Any

from flowscope.cloud.definition import Definition, address_of, port_of, seconds_of
from flowscope.cloud.json_tree import Object, flat, items, last_part, outermost
from flowscope.nat.topology import Member, Probe


def read_front_doors(tree: Any, known: Definition) -> int:
    """Adds the origin groups of a file; returns how many objects of Front Door there were.

    Args:
        tree: all the files that were given: groups and origins come from two commands.
        known: gets what they say.
    """
    classic = [flat(one) for one in outermost(tree, lambda one: "backendpools" in flat(one))]
    groups = outermost(tree, _is_group)
    origins = [flat(one) for one in outermost(tree, lambda one: "hostname" in flat(one) and "httpport" in flat(one))]
    for front_door in classic:
        _classic(front_door, known)
    known.count("origin groups", len(groups))
    known.count("origins", len(origins))
    for group in groups:
        mine = [one for one in origins if _group_of(one) in (_name(group), "")]
        _group(_name(group), flat(group), mine, known)
    if origins and not groups:
        known.say("origins without their group: give `az afd origin-group show` with another --topology, too")
    if groups and not origins:
        known.say("origin groups without origins: give `az afd origin list` with another --topology, too")
    if classic or groups:
        known.say("Front Door's own addresses are in no file: its frontends are not known")
    return len(classic) + len(groups) + len(origins)


def _is_group(value: Object) -> bool:
    inner = flat(value)
    return isinstance(inner.get("loadbalancingsettings"), dict) and "samplesize" in inner["loadbalancingsettings"]


def _name(value: Object) -> str:
    return str(value.get("name") or last_part(value.get("id")) or "origin group")


def _group_of(origin: Object) -> str:
    named = origin.get("origingroupname")
    parts = str(origin.get("id") or "").split("/")
    lowered = [part.lower() for part in parts]
    return str(named) if named else parts[lowered.index("origingroups") + 1] if "origingroups" in lowered[:-1] else ""


def _classic(front_door: Object, known: Definition) -> None:
    settings = {
        key: {_name(one): flat(one) for one in items(front_door, key) if isinstance(one, dict)}
        for key in ("healthprobesettings", "loadbalancingsettings")
    }
    pools = [one for one in items(front_door, "backendpools") if isinstance(one, dict)]
    known.count("backend pools", len(pools))
    for pool in pools:
        inner = flat(pool)
        chosen = {key: found.get(last_part(flat(inner.get(key)).get("id")), {}) for key, found in settings.items()}
        backends = [one for one in items(inner, "backends") if isinstance(one, dict)]
        known.count("backends", len(backends))
        _group(_name(pool), {**inner, **chosen}, backends, known)


def _group(name: str, group: Object, origins: list[Object], known: Definition) -> None:
    asked, sampled = flat(group.get("healthprobesettings")), flat(group.get("loadbalancingsettings"))
    protocol = str(asked.get("probeprotocol") or asked.get("protocol") or "http").lower()
    secure = protocol == "https"
    members = []
    for origin in origins:
        host = origin.get("hostname") or origin.get("address")
        address = address_of(host)
        # The probe goes to the port that clients' requests go to.
        port = port_of(origin.get("httpsport" if secure else "httpport")) or (443 if secure else 80)
        if address is None:
            known.say(f"{name}: origin {host} is a name; its address is not in the file")
            continue
        enabled = str(origin.get("enabledstate") or "enabled").lower() != "disabled"
        members.append(Member(str(origin.get("name") or address), address, port, enabled))
    disabled = str(asked.get("enabledstate") or "enabled").lower() == "disabled"
    probe = Probe(
        protocol="https" if secure else "http",
        path=str(asked.get("probepath") or asked.get("path") or "/"),
        interval_s=seconds_of(asked.get("probeintervalinseconds") or asked.get("intervalinseconds"), 30.0),
        timeout_s=seconds_of(asked.get("probeintervalinseconds") or asked.get("intervalinseconds"), 30.0),
        policy="front-door",
        sample_size=_whole(sampled.get("samplesize")),
        successful_samples=_whole(sampled.get("successfulsamplesrequired")),
    )
    known.pool(name, members, None if disabled or not asked else probe)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
