"""Points behind a balancer: what they would have seen, had it sent a call on."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from flowscope.nat.numbers import address_numbers
from flowscope.window import Window


@dataclass(frozen=True, slots=True)
class Behind:
    """Points that any call would have passed on its way to whichever member; empty when there are none."""

    points: tuple[int, ...] = ()
    shared: bool = False
    """True when one of them is on the way to several members; members' own points leave the way to them open."""


def points_behind(window: Window, frontend: int, port: int, first_ns: int, last_ns: int) -> Behind:
    """The points behind a balancer that were captured all that time.

    One point on the way to several members is enough, or a point for every member of the pool.
    """
    alive = [
        one
        for one in window.places.values()
        if one.first_ns <= first_ns and one.last_ns >= last_ns and window.one_way.get(one.point) != "answers"
    ]
    onward = window.judgeable.filter(
        pl.col("frontend") == frontend,
        pl.col("frontend_port") == port,
        pl.col("backend").is_not_null(),
        pl.col("legs").list.len() > 1,
    )
    # A translator before the balancer leaves the frontend's address: what is seen between the two is not behind it.
    behind = pl.col("leg").is_in(onward["last_leg"].implode()) & (pl.col("dst") != frontend)
    seen = (
        window.flows.filter(behind, pl.col("point").is_in([one.point for one in alive]))
        .group_by("point")
        .agg(pl.col("dst").unique())
    )
    reach: dict[int, set[int]] = {point: set(hosts) for point, hosts in seen.iter_rows()}
    shared = any(len(hosts) > 1 for hosts in reach.values())
    members = _members(window, frontend, port)
    for place in alive:
        if own := members & place.hosts:
            reach.setdefault(place.point, set()).update(own)
    covered = bool(members) and members <= set().union(*reach.values())
    return Behind(tuple(sorted(reach)), shared) if shared or covered else Behind()


def _members(window: Window, frontend: int, port: int) -> frozenset[int]:
    """Hosts of the pool as the topology lists it; empty without one, or when one of them was never seen."""
    known = window.topology.frontend_of(window.address(frontend), port)
    listed = window.topology.members_of(known.pool if known is not None else None)
    texts = {one.address for one in listed if one.enabled}
    number = address_numbers(window.addresses, texts)
    return frozenset(number.values()) if texts == set(number) else frozenset()
