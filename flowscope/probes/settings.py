"""How a prober may be set up, where nobody says, and what its balancer makes of a member under each setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product

from flowscope.nat.topology import Probe
from flowscope.probes.policies import POLICIES

#: Balancers let thresholds of 1 to 10 be configured; more samples than that are unheard of at Front Door.
MOST = 10
#: After so many intervals without a probe nobody knows what the prober thinks.
LOST_TOUCH = 3

Told = tuple[int, bool | None]
"""When a probe was decided, in nanoseconds, and whether it was good; None when nobody can say."""
Step = tuple[int, float]
"""From when on a member is in (1), out (0), or as likely in as out (0.5)."""


@dataclass(frozen=True, slots=True)
class Episode:
    """Probes of one member, one after the other, of each of which the result is known."""

    start_ns: int
    told: tuple[tuple[int, bool], ...]
    """When each was decided, and whether it was good; of a long row only those that may turn a decision."""
    was: bool | None
    """Whether the member was in as it began; None when nothing tells."""

    def settled(self) -> Iterator[Episode]:
        """The same once it is known, under whatever setting, whether the member was in: after a long row."""
        if self.was is not None:
            yield self
            return
        yield Episode(self.start_ns, (), None)
        at = 0
        for good, row in groupby(self.told, key=lambda one: one[1]):
            count = len(list(row))
            at += count
            if count >= MOST:
                yield Episode(self.told[at - 1][0], self.told[at:], good)
                return


def candidates(policy: str) -> list[Probe]:
    """Every setting that a policy may have."""
    numbers = range(1, MOST + 1)
    if policy == "front-door":
        return [Probe(sample_size=n, successful_samples=x) for n in numbers for x in range(1, n + 1)]
    return [Probe(unhealthy_threshold=fall, healthy_threshold=rise) for fall, rise in product(numbers, numbers)]


def turns(policy: str, setting: Probe | None) -> tuple[int, int]:
    """Failures in a row that take a member out, and successes that bring it back."""
    return POLICIES[policy](setting).turns


def episodes(told: Sequence[Told], began_ns: int, lost_ns: int) -> Iterator[Episode]:
    """What can be told of a member without a break; whether it was in at first is left open.

    Args:
        told: its probes by the time they were decided.
        began_ns: from when on its probes were captured.
        lost_ns: a longer pause leaves open what the prober thought in between.
    """
    part: list[tuple[int, bool]] = []
    start, before = began_ns, began_ns
    for time, good in told:
        if good is None or time - before > lost_ns:
            if part:
                yield Episode(start, _short(part), None)
            part, start = [], before if good is not None else time
        if good is not None:
            part.append((time, good))
        before = time
    if part:
        yield Episode(start, _short(part), None)


def steps(policy: str, setting: Probe, known: Sequence[Episode], late_ns: int) -> list[Step]:
    """When a member was in and out, had the prober this setting and the balancer so long to act.

    Args:
        policy: its name.
        setting: the thresholds.
        known: the member's episodes, settled.
        late_ns: how long after a decision a new connection goes either way.
    """
    found: list[Step] = []
    for one in known:
        if one.was is None:
            found.append((one.start_ns, 0.5))
            continue
        judge, now = POLICIES[policy](setting), float(one.was)
        for _ in range(MOST):
            judge.add(one.was)
        found.append((one.start_ns, now))
        for time, good in one.told:
            new = float(judge.add(good) == "up")
            if new != now:
                found += [(time, 0.5), (time + late_ns, new)]
                now = new
    return sorted(found, key=lambda step: step[0])


def _short(told: Sequence[tuple[int, bool]]) -> tuple[tuple[int, bool], ...]:
    """The first of each row: what follows so many alike turns nothing."""
    return tuple(one for _, row in groupby(told, key=lambda one: one[1]) for one in list(row)[:MOST])
