"""What captures show of a load balancer, and how it adds to what a user has given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flowscope.nat.topology import Frontend, PointHint, Pool, Snat, Topology

Part = tuple[str, str]
"""What a reason is about: ``frontend``, ``pool``, ``member``, ``probe``, ``snat`` or ``point``, and its name."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A value that fits what was seen and is not proven: it is shown, not used."""

    key: str
    value: str | float
    reason: str


@dataclass(frozen=True, slots=True)
class Inferred:
    """A topology read from captures, with the reason of every part of it."""

    topology: Topology = field(default_factory=Topology)
    reasons: Mapping[Part, str] = field(default_factory=dict)
    """One sentence for each part."""
    guesses: Mapping[Part, tuple[Guess, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    """What was seen and fits in no table: one sentence each."""


def endpoint_text(address: str, port: int) -> str:
    """``10.0.0.4:8080`` or ``[2001:db8::1]:443``."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def member_part(pool: str, address: str, port: int) -> Part:
    """The part that a member of a pool is."""
    return "member", f"{pool} {endpoint_text(address, port)}"


def point_part(hint: PointHint) -> Part:
    """The part that a point is."""
    return "point", f"{hint.file} {hint.interface or ''}"


def merged(given: Topology, inferred: Topology) -> Topology:
    """The given topology, and of the inferred one what the given one does not speak of."""
    known = {(one.protocol, one.address, one.port): one for one in given.frontends}
    taken = {pool.name for pool in given.pools}
    frontends: list[Frontend] = list(given.frontends)
    pools: dict[str, Pool] = {pool.name: pool for pool in given.pools}
    for found in inferred.frontends:
        mine = known.get((found.protocol, found.address, found.port))
        pool = inferred.pool_of(found.pool)
        if mine is not None and mine.pool is not None:
            _complete(pools, mine.pool, pool)
            continue
        if pool is None or pool.name in taken:
            found = replace(found, pool=None)
        else:
            pools[pool.name] = pool
        if mine is None:
            frontends.append(found)
        else:
            frontends[frontends.index(mine)] = replace(mine, pool=found.pool)
    snats: list[Snat] = list(given.snats)
    snats += [snat for snat in inferred.snats if given.snat_at(snat.address) is None]
    files = {os.path.basename(hint.file) for hint in given.points}
    points = [*given.points, *(hint for hint in inferred.points if os.path.basename(hint.file) not in files)]
    return Topology(given.file, tuple(frontends), tuple(pools.values()), tuple(snats), tuple(points))


def _complete(pools: dict[str, Pool], name: str, found: Pool | None) -> None:
    """Gives a pool the probe that was seen, when it has none."""
    mine = pools.get(name)
    if mine is not None and mine.probe is None and found is not None and found.probe is not None:
        pools[name] = replace(mine, probe=found.probe)
