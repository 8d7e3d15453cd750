"""The clocks of the points on one reference: offset, drift and steps, and every time corrected by them.

Handshakes that two points saw (:mod:`flowscope.nat.clock_samples`) give the differences of pairs; a tree of the surest
pairs carries them to the reference: the point whose time most others agree with, of these the one with the most flows.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count

import polars as pl

from flowscope.nat.clock_fit import Sample, Stretch, fit
from flowscope.nat.clock_samples import Edges, measured_edges
from flowscope.nat.clock_steps import Step, same_steps, steps

#: Hosts that keep time by NTP are nearer to one another.
AGREE_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of one point against the reference."""

    point: int
    island: int
    """Points of different islands share no connection: nothing is known of their clocks' difference."""
    hops: tuple[tuple[Stretch, ...], ...] = ()
    """Differences to take off one after the other, from this point to the reference."""
    first_ns: int = 0

    @property
    def offset_ns(self) -> int:
        """What to add to the time of its first frame to get that of the reference."""
        return _at(self.hops, self.first_ns) - self.first_ns

    @property
    def known(self) -> bool:
        """False where nothing ties it to the reference: another island's own reference."""
        return self.island == 0 or bool(self.hops)

    @property
    def error_ns(self) -> int:
        """How far off the offset may be, at most."""
        time_ns, error_ns = self.first_ns, 0
        for hop in self.hops:
            error_ns += _stretch(hop, time_ns).doubt_at(time_ns)
            time_ns = _at((hop,), time_ns)
        return error_ns

    @property
    def is_right(self) -> bool:
        """True when its times need no correction."""
        return not any(one.offset_ns or one.rate for hop in self.hops for one in hop)

    @property
    def skew_ppm(self) -> float:
        """How much slower than the reference it runs at its first frame, in millionths: what is to be added."""
        return -sum(_stretch(hop, self.first_ns).rate for hop in self.hops) * 1e6

    @property
    def drifts(self) -> bool:
        """True when a clock that keeps its distance would not do at its first frame."""
        return any(_stretch(hop, self.first_ns).drifts for hop in self.hops)

    @property
    def steps(self) -> tuple[Step, ...]:
        """When it was set while it captured."""
        return steps(self.hops, lambda time, upto: time - _at(self.hops[:upto], time), self.first_ns, AGREE_NS)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of all points."""

    by_point: dict[int, Clock] = field(default_factory=dict)

    @property
    def islands(self) -> pl.DataFrame:
        """Columns ``point`` and ``island``."""
        rows = [(clock.point, clock.island) for clock in self.by_point.values()]
        return pl.DataFrame(rows, schema={"point": pl.UInt32, "island": pl.Int64}, orient="row")

    def corrected_ns(self, times: Mapping[int, int]) -> dict[int, int]:
        """A time of each point, on the reference clock."""
        return {
            point: _at(clock.hops, time_ns) if (clock := self.by_point.get(point)) else time_ns
            for point, time_ns in times.items()
        }

    def correct(self, table: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
        """Adds ``name``: the time in ``column`` on the reference clock. The table needs a ``point`` column."""
        corrected = pl.col(column)
        for clock in self.by_point.values():
            if not clock.is_right:
                corrected = pl.when(pl.col("point") == clock.point).then(_taken_off(column, clock)).otherwise(corrected)
        return table.with_columns(corrected.alias(name))

    def across(self, samples: pl.DataFrame) -> Clocks:
        """Brings islands together that samples tie to the first one.

        Args:
            samples: ``island`` and ``island_b``, and by each of their references the time ``at_ns`` and ``at_ns_b``;
                the second was ``offset_ns`` ahead then, give or take ``doubt_ns``.
        """
        between: dict[int, dict[int, tuple[Stretch, ...]]] = {}
        there = samples.with_columns(-pl.col("offset_ns"), island="island_b", island_b="island", at_ns_b="at_ns")
        columns = ("island", "island_b", "at_ns_b", "offset_ns", "doubt_ns")
        both = pl.concat([samples.select(columns), there.select(columns)])
        for (one, other), group in both.group_by("island", "island_b", maintain_order=True):
            drawn = fit([Sample(*row) for row in group.select(columns[2:]).iter_rows()])
            between.setdefault(int(str(one)), {})[int(str(other))] = _or_none(drawn)
        ways: dict[int, tuple[tuple[Stretch, ...], ...]] = {0: ()}
        queue = [0]
        for here in queue:
            for island in sorted(between.get(here, {}).keys() - ways.keys()):
                ways[island] = (between[here][island], *ways[here])
                queue.append(island)
        return Clocks(
            {
                point: replace(clock, island=0, hops=(*clock.hops, *ways[clock.island]))
                if clock.island in ways
                else clock
                for point, clock in self.by_point.items()
            }
        )


def read_clocks(flows: pl.DataFrame, events: pl.DataFrame, datagrams: pl.DataFrame, points: pl.DataFrame) -> Clocks:
    """The clocks of the points that have flows.

    Args:
        flows: with legs (``leg``), as :func:`flowscope.nat.legs.with_legs` returns them.
        events: the core's event table.
        datagrams: as :func:`flowscope.nat.datagrams.datagrams` returns them.
        points: the core's point table.
    """
    used = flows["point"].unique().implode()
    firsts = dict(points.filter(pl.col("point").is_in(used)).sort("point").select("point", "first_ns").iter_rows())
    edges: Edges = measured_edges(flows, events, datagrams) if len(firsts) > 1 else {}
    weight = dict(flows.group_by("point").len().iter_rows())
    found: dict[int, Clock] = {}
    for island, start in enumerate(sorted(firsts, key=lambda point: (-weight[point], point))):
        if start not in found:
            reached = _island(start, island, edges, firsts)
            best = max(reached, key=lambda point: (_agreeing(reached, point), weight[point], -point))
            found |= reached if best == start else _island(best, island, edges, firsts)
    return Clocks(dict(sorted(found.items())))


def _agreeing(reached: dict[int, Clock], point: int) -> int:
    """How many clocks show about its time all along: of several that differ, the odd one is likelier wrong."""
    own = reached[point]
    return sum(
        abs(one.offset_ns - own.offset_ns) <= max(AGREE_NS, one.error_ns + own.error_ns)
        and same_steps(one.steps, own.steps, AGREE_NS)
        for one in reached.values()
    )


def _island(start: int, island: int, edges: Edges, firsts: dict[int, int]) -> dict[int, Clock]:
    """The points that can be reached from ``start``, each over the surest pairs."""
    found: dict[int, Clock] = {}
    number = count()
    queue: list[tuple[int, int, int, Clock]] = [(0, start, next(number), Clock(start, island, (), firsts[start]))]
    while queue:
        _, here, _, clock = heapq.heappop(queue)
        if here in found:
            continue
        found[here] = clock
        for there, stretches in edges.get(here, {}).items():
            if there not in found:
                nearer = Clock(there, island, (_or_none(stretches), *clock.hops), firsts[there])
                heapq.heappush(queue, (nearer.error_ns, there, next(number), nearer))
    return found


def _or_none(stretches: list[Stretch]) -> tuple[Stretch, ...]:
    """A difference within its own doubt is none: most points share a host or an NTP server."""
    none = all(one.may_be_none for one in stretches)
    return tuple(one.none() for one in stretches) if none else tuple(stretches)


def _stretch(hop: tuple[Stretch, ...], time_ns: int) -> Stretch:
    return max((one for one in hop if one.from_ns <= time_ns), key=lambda one: one.from_ns)


def _at(hops: tuple[tuple[Stretch, ...], ...], time_ns: int) -> int:
    for hop in hops:
        one = _stretch(hop, time_ns)
        time_ns -= one.offset_ns + round(one.rate * (time_ns - one.at_ns))
    return time_ns


def _taken_off(column: str, clock: Clock) -> pl.Expr:
    time = pl.col(column)
    for hop in clock.hops:
        ahead = pl.lit(0, pl.Int64)
        for one in hop:
            line = one.offset_ns + ((time - one.at_ns).cast(pl.Float64) * one.rate).round().cast(pl.Int64)
            ahead = pl.when(time >= one.from_ns).then(line).otherwise(ahead)
        time = time - ahead
    return time
