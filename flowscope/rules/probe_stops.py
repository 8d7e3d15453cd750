"""Probes that stop arriving at a member while the same prober goes on asking others."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from flowscope.probes.replay import Health
from flowscope.rules.probe_subject import home
from flowscope.window import Window

#: Silence shorter than this is none, however fast the prober asks.
_SHORTEST_NS = 15_000_000_000
_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Stop:
    """The end of a series."""

    health: Health
    missing: int
    """Probes that were due while the member's point was alive and others were probed."""


def stops(window: Window, health: Health) -> Stop | None:
    """When a series ended before the captures did; None when that proves nothing.

    Only points on the member may have seen it: one before it that no longer sees the probes says that none are sent.
    Nothing has stopped when the prober asks this member at another port from then on: it was set up otherwise.
    """
    one = health.series
    last = int(str(health.readings["sent_ns"].max()))
    silence = max(_INTERVALS * one.interval_ns, _SHORTEST_NS)
    there = {place.point: place for place in home(window, one.member, one.asked, one.host) if place.sure}
    legs = window.paths.filter(pl.col("path").is_in(health.readings["path"].implode()))["legs"].explode()
    seen = window.flows.filter(pl.col("leg").cast(pl.UInt64).is_in(legs.cast(pl.UInt64).implode()))["point"].unique()
    if not there or not set(seen) <= set(there):
        return None
    if any(
        (other.series.source, other.series.member, other.series.host) == (one.source, one.member, one.host)
        and last - one.interval_ns < int(str(other.readings["sent_ns"].min())) <= last + silence
        for other in window.health
        if other is not health
    ):
        return None
    others = [
        int(str(other.readings["sent_ns"].max()))
        for other in window.health
        if (other.series.source, other.series.port) == (one.source, one.port)
        and (other.series.member, other.series.host) != (one.member, one.host)
    ]
    alive = min(max(others, default=last), max(place.last_ns for place in there.values()))
    return Stop(health, (alive - last) // one.interval_ns) if alive - last > silence else None
