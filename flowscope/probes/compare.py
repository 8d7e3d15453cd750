"""What the balancer did, beside what its probes say: new flows per member, and clients' SYNs at the frontend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from flowscope.nat.numbers import address_numbers
from flowscope.nat.outcomes import SERVED
from flowscope.probes.arrivals import End
from flowscope.probes.held import at_members
from flowscope.probes.replay import Health, stretches_of

if TYPE_CHECKING:
    from flowscope.window import Window

Stretch = tuple[int, int]
"""From and to, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Group:
    """The members that share a frontend's clients, with what their probers think."""

    name: str | None
    """The pool of the topology; None when it was inferred from one frontend."""
    frontends: tuple[End, ...]
    members: tuple[End, ...]
    """Enabled ones, with the port that clients' data goes to."""
    health: dict[int, tuple[Health, ...]]
    """By member's address; empty for one whose probes were not captured."""

    def down(self, member: int) -> list[Stretch]:
        """When every prober of a member has it down."""
        return stretches_of(self.health[member], "down") if self.health.get(member) else []

    def all_down(self) -> list[Stretch]:
        """When every prober of every member has it down; never, when the probes of one were not captured."""
        if not all(self.health.get(address) for address, _ in self.members):
            return []
        told = {health.series.key: health for healths in self.health.values() for health in healths}
        return stretches_of(told.values(), "down")

    def out(self) -> list[Stretch]:
        """When any member is out, to any of its probers and as long as may be."""
        found = []
        for health in (one for healths in self.health.values() for one in healths):
            changes, pad = health.timeline, health.series.interval_ns
            for at, change in enumerate(changes):
                if change.state == "down":
                    back = changes[at + 1] if at + 1 < len(changes) else None
                    end = health.known_until_ns if back is None else back.latest_ns or back.time_ns
                    found.append(((change.earliest_ns or change.time_ns) - pad, end + pad))
        return found


def groups(window: Window) -> list[Group]:
    """The pools of the topology, else one group for each frontend that was seen."""
    return _given(window) if window.topology.pools else _inferred(window)


def established(window: Window, member: int, down_ns: int, grace_ns: int) -> tuple[int, int]:
    """Clients' connections that a member had when it went down: how many went on, and how many were reset then.

    Args:
        window: what is judged.
        member: its address number.
        down_ns: when its prober had it down.
        grace_ns: how long the balancer may take to act.
    """
    paths = at_members(window.judgeable, window.held)
    paths = paths.filter(pl.col("backend") == member, pl.col("outcome").is_in(SERVED))
    legs = paths.select("path", leg=pl.col("last_leg").cast(pl.UInt64))
    shift = pl.col("at_ns") - pl.col("first_ns")
    flows = window.flows.with_columns(pl.col("leg").cast(pl.UInt64)).join(legs, "leg")
    seen = flows.group_by("path").agg(
        start=pl.col("at_ns").min(),
        spoke=(pl.max_horizontal("fwd_last_data_ns", "rev_last_data_ns") + shift).max(),
        end=(pl.col("last_ns") + shift).max(),
        reset=((pl.col("fwd_resets") > 0) | (pl.col("rev_resets") > 0)).any(),
    )
    alive = seen.filter(pl.col("start") < down_ns, pl.col("end") > down_ns)
    went_on = (pl.col("spoke") > down_ns + grace_ns).fill_null(value=False)
    cut = pl.col("reset") & (pl.col("end") <= down_ns + grace_ns)
    return alive.filter(went_on).height, alive.filter(cut & ~went_on).height


def without(stretch: Stretch, taken: Iterable[Stretch]) -> list[Stretch]:
    """What remains of a stretch."""
    parts = [stretch]
    for start, end in taken:
        parts = [part for a, b in parts for part in ((a, min(b, start)), (max(a, end), b)) if part[0] < part[1]]
    return parts


def _given(window: Window) -> list[Group]:
    topology = window.topology
    listed = [one.address for pool in topology.pools for one in pool.members]
    number = address_numbers(window.addresses, [*listed, *(one.address for one in topology.frontends)])
    found = []
    for pool in topology.pools:
        enabled = [one for one in pool.members if one.enabled]
        # A member that no packet names has no number, and nothing can be said of all members then.
        members = tuple((number[one.address], one.port) for one in enabled if one.address in number)
        fronts = [one for one in topology.frontends if one.pool == pool.name and one.address in number]
        health: dict[int, tuple[Health, ...]] = {address: () for address, _ in members}
        if len(members) < len(enabled):
            health[-1] = ()
            members = (*members, (-1, 0))
        for one in window.health:
            if one.series.member in health and (pool.name in one.series.pools or pool.probe is None):
                health[one.series.member] += (one.under(pool.probe) if pool.probe else one,)
        found.append(Group(pool.name, tuple((number[one.address], one.port) for one in fronts), members, health))
    return found


def _inferred(window: Window) -> list[Group]:
    moved = window.judgeable.filter(pl.col("frontend").is_not_null(), pl.col("backend").is_not_null())
    found = []
    for (frontend, port), paths in moved.group_by("frontend", "frontend_port", maintain_order=True):
        members = {(int(a), int(b)) for a, b in paths.select("backend", "backend_port").unique().iter_rows()}
        addresses = {address for address, _ in members}
        asked = {(one.series.source, one.series.port) for one in window.health if one.series.member in addresses}
        # Whom the same prober asks at the same port may well belong to the pool, though no client was sent there.
        more = {one.series.member for one in window.health if (one.series.source, one.series.port) in asked}
        usual = sorted(port for _, port in members)[0]
        members |= {(address, usual) for address in more - addresses}
        health = {address: tuple(h for h in window.health if h.series.member == address) for address, _ in members}
        front = (int(str(frontend)), int(str(port)))
        found.append(Group(None, (front,), tuple(sorted(members)), health))
    return found
