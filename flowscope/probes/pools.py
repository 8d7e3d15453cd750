"""What became of each pool: from when a member of it was up, from when none was, and which member that turned on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowscope.probes.arrivals import End
from flowscope.probes.compare import Group, groups
from flowscope.probes.policies import FAILS_OPEN, State
from flowscope.probes.replay import Health

if TYPE_CHECKING:
    from flowscope.window import Window


@dataclass(frozen=True, slots=True)
class PoolChange:
    """The state of a pool from a moment on: ``up`` with any member up, ``down`` with every member down."""

    time_ns: int
    state: State
    member: End
    """On which it turned: address number and probed port."""
    became: State
    """What that member became."""
    reason: str


@dataclass(frozen=True, slots=True)
class PoolHealth:
    """The members of a pool taken together."""

    group: Group
    timeline: tuple[PoolChange, ...]
    until_ns: int
    """Until when the last probe still says something."""

    @property
    def fails_open(self) -> bool | None:
        """Whether all members are used while none is up, as documented of its prober; None where nothing is."""
        said = {FAILS_OPEN.get(health.series.policy) for healths in self.group.health.values() for health in healths}
        return said.pop() if len(said) == 1 else None

    def stretches(self) -> Iterator[tuple[int, int, State]]:
        """From, to and state of each part of the timeline."""
        if not self.timeline:
            return
        ends = [*(change.time_ns for change in self.timeline[1:]), self.until_ns]
        for change, end in zip(self.timeline, ends, strict=True):
            yield change.time_ns, max(end, change.time_ns), change.state


def pool_health(window: Window) -> tuple[PoolHealth, ...]:
    """The pools of which any member's probes were captured, in the order of :func:`flowscope.probes.compare.groups`."""
    found = []
    for group in groups(window):
        healths = [one for healths in group.health.values() for one in healths]
        if healths:
            until = max(one.known_until_ns for one in healths)
            found.append(PoolHealth(group, tuple(_timeline(group, healths)), until))
    return tuple(found)


def _timeline(group: Group, healths: list[Health]) -> Iterator[PoolChange]:
    """Each change of the pool; a member is up to any prober that has it up, and down to none unless to all of them."""
    probers = {address: len(own) for address, own in group.health.items()}
    states: list[State] = ["unknown"] * len(healths)
    up: Counter[int] = Counter()
    down: Counter[int] = Counter()
    ups = downs = 0
    pool: State = "unknown"
    changes = [(one.time_ns, at, one) for at, health in enumerate(healths) for one in health.timeline]
    for time, at, change in sorted(changes, key=lambda one: one[:2]):
        member, before = healths[at].series.member, states[at]
        states[at] = change.state
        was_up, was_down = up[member] > 0, down[member] == probers[member]
        up[member] += (change.state == "up") - (before == "up")
        down[member] += (change.state == "down") - (before == "down")
        ups += (up[member] > 0) - was_up
        downs += (down[member] == probers[member]) - was_down
        now: State = "up" if ups else "down" if downs == len(probers) else "unknown"
        if now != pool:
            pool = now
            yield PoolChange(time, now, (member, healths[at].series.port), change.state, change.reason)
