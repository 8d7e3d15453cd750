"""Members that the topology has probed and of which no probe was captured, though a point stood on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from flowscope.nat.numbers import address_numbers
from flowscope.nat.topology import Member, Pool, Probe

if TYPE_CHECKING:
    from flowscope.window import Window

#: Silence shorter than so many intervals is none, nor shorter than this, whatever the interval.
_INTERVALS = 3
_SHORTEST_NS = 15_000_000_000


@dataclass(frozen=True, slots=True)
class Absence:
    """No probe of a member in all the time that it was captured."""

    member: int
    port: int
    pool: Pool
    missing: int
    """Probes that were due."""
    others: bool
    """The pool's other members were probed meanwhile."""
    paths: pl.DataFrame
    """What its point saw instead."""


def absences(window: Window) -> Iterator[Absence]:
    """One per member and pool that probes it."""
    seen = {one.series.member for one in window.health}
    for pool in window.topology.pools:
        if pool.probe is None:
            continue
        number = address_numbers(window.addresses, (one.address for one in pool.members))
        asked = {address for address in number.values() if address in seen}
        for one in pool.members:
            address = number.get(one.address)
            if one.enabled and address is not None and address not in seen:
                found = _absence(window, pool, pool.probe, one, address, bool(asked))
                if found is not None:
                    yield found


def _absence(window: Window, pool: Pool, probe: Probe, one: Member, member: int, others: bool) -> Absence | None:
    home = {place.point: place for place in window.points_on(member) if place.sure}
    if not home:
        return None
    lasted = max(place.last_ns - place.first_ns for place in home.values())
    interval = round(probe.interval_s * 1e9)
    here = window.flows.filter(pl.col("point").is_in(list(home)))["leg"].cast(pl.UInt64).unique()
    legs = window.judgeable.select("path", pl.col("legs")).explode("legs")
    own = legs.filter(pl.col("legs").cast(pl.UInt64).is_in(here.implode()))["path"].unique()
    paths = window.judgeable.filter(pl.col("path").is_in(own.implode()))
    if lasted < max(_INTERVALS * interval, _SHORTEST_NS) or not paths.height:
        return None
    return Absence(member, probe.port or one.port, pool, lasted // interval, others, paths)
