"""The balancer's decision again, from the probes alone: when each member went down and came back, and why.

Each prober is replayed by itself, since each edge, node or health checker counts for itself; :func:`stretches_of` puts
them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from flowscope.nat.topology import Probe
from flowscope.probes.asked import SERIES, Series
from flowscope.probes.deeds import by_deeds
from flowscope.probes.policies import POLICIES, State
from flowscope.probes.settings import LOST_TOUCH

if TYPE_CHECKING:
    from flowscope.window import Window

_Row = tuple[int, int, bool, int, str, str | None, int | None]
"""When the probe before was sent, its interval, whether there was a pause, when it was decided, its result, how, and
the status."""
#: Probes that are one interval apart, as evenly as a prober sends them, in intervals.
_ONE_PROBE = 1.25


@dataclass(frozen=True, slots=True)
class Change:
    """The state of a member from a moment on."""

    time_ns: int
    state: State
    reason: str
    how: str | None = None
    """How the probe failed that made it so, in the words of the readings."""
    earliest_ns: int | None = None
    """None, as :attr:`latest_ns`, unless settings that fit as well put the change at another time."""
    latest_ns: int | None = None
    sure: bool = True
    """False when with such a setting it did not happen at all."""


@dataclass(frozen=True, slots=True)
class Health:
    """One prober's probes of one member, and what it made of them."""

    series: Series
    readings: pl.DataFrame
    """Rows of this series, in the order in which they were decided."""
    timeline: tuple[Change, ...]
    watched_ns: int
    """Until when anything was captured: nothing is said of later."""

    @property
    def sent(self) -> int:
        """Probes whose beginning was captured."""
        return self.readings.height

    @property
    def succeeded(self) -> int:
        """Probes that were good."""
        return self.readings.filter(pl.col("result") == "good").height

    @property
    def failed(self) -> pl.DataFrame:
        """Probes that were bad."""
        return self.readings.filter(pl.col("result") == "bad")

    @property
    def known_until_ns(self) -> int:
        """Until when the last probe still says something."""
        last: int = self.readings["sent_ns"].max()  # type: ignore[assignment]
        return min(last + self.series.interval_ns + self.series.patience_ns, self.watched_ns)

    def under(self, probe: Probe) -> Health:
        """The same probes as a pool decides by them that is set up otherwise."""
        if probe == self.series.probe:
            return self
        one = replace(self.series, probe=probe, policy=probe.policy, thresholds=probe)
        return Health(one, self.readings, tuple(_timeline(one, _turning(self.readings, one))), self.watched_ns)

    def stretches(self) -> Iterator[tuple[int, int, State]]:
        """From, to and state of each part of the timeline."""
        if not self.timeline:
            return
        ends = [*(change.time_ns for change in self.timeline[1:]), self.known_until_ns]
        for change, end in zip(self.timeline, ends, strict=True):
            yield change.time_ns, max(end, change.time_ns), change.state


def replay(window: Window) -> tuple[Health, ...]:
    """Every series of a window, replayed; by member, port and prober."""
    readings, known = window.probed
    known = by_deeds(window, readings, known)
    parts = readings.partition_by(SERIES, as_dict=True, include_key=True)
    watched = max((place.last_ns for place in window.places.values()), default=0)
    found = []
    for key, one in known.items():
        own = parts[key].sort("decided_ns", "sent_ns")
        rows = _turning(own, one)
        if one.fits:
            one, changes = _settled(one, rows)
        else:
            changes = tuple(_timeline(one, rows))
        found.append(Health(one, own, changes, watched))
    return tuple(found)


def _settled(one: Series, rows: Sequence[_Row]) -> tuple[Series, tuple[Change, ...]]:
    """The changes under the setting that was chosen, with what the others that fit as well say of each."""
    others = {tuple(_timeline(replace(one, thresholds=setting), rows)) for setting in one.fits}
    timeline = tuple(_timeline(one, rows))
    changes = tuple(_ranged(timeline, at, others) for at in range(len(timeline)))
    # A change that is sure to a probe is as good as known; where one is not, the setting is not.
    wide = any(not change.sure or _spread(change) > one.interval_ns * _ONE_PROBE for change in changes)
    return replace(one, policy_by="assumed" if wide else "traffic"), changes


def _ranged(timeline: Sequence[Change], at: int, others: Iterable[Sequence[Change]]) -> Change:
    change = timeline[at]
    known = at > 0 and timeline[at - 1].state != "unknown"
    if change.state == "unknown" or (change.state == "up" and not known):
        # When it became known that a member is up is a matter of the capture.
        return change
    after = timeline[at - 1].time_ns if at else 0
    before = timeline[at + 1].time_ns if at + 1 < len(timeline) else 2**63
    near = [
        [one.time_ns for one in other if one.state == change.state and after < one.time_ns < before] for other in others
    ]
    times = [min(found, key=lambda time: abs(time - change.time_ns)) for found in near if found]
    if set(times) <= {change.time_ns} and all(near):
        return change
    return replace(change, earliest_ns=min(times), latest_ns=max(times), sure=all(near))


def _spread(change: Change) -> int:
    if change.earliest_ns is None or change.latest_ns is None:
        return 0
    return max(change.latest_ns - change.time_ns, change.time_ns - change.earliest_ns)


def _timeline(one: Series, rows: Iterable[_Row]) -> Iterator[Change]:
    policy = POLICIES[one.policy](one.thresholds)
    state: State = "unknown"
    for before, interval, paused, decided, result, how, status in rows:
        if paused:
            policy = POLICIES[one.policy](one.thresholds)
            if state != "unknown":
                state = "unknown"
                yield Change(before + LOST_TOUCH * interval, state, "no probe was seen for a while")
        if result == "unknown":
            # It may have been either, so what follows starts anew.
            policy = POLICIES[one.policy](one.thresholds)
            now: State = "unknown"
        else:
            now = policy.add(result == "good")
        if now != state:
            state = now
            text = reason(how, status) if result != "unknown" else "what it got cannot be read"
            yield Change(decided, state, text, how)


def _turning(readings: pl.DataFrame, one: Series) -> list[_Row]:
    """Of probes in a row that went alike only so many as may turn a decision, whichever of the settings holds."""
    longest = max(sum(POLICIES[one.policy](setting).turns) for setting in (one.thresholds, *one.fits))
    before = pl.col("sent_ns").shift(1)
    interval = pl.max_horizontal(pl.col("interval_ns"), pl.col("interval_ns").shift(1))
    long = (pl.col("sent_ns") - before > LOST_TOUCH * interval).fill_null(value=False)
    rows = readings.with_columns(before=before, interval=interval, stretch=long.cum_sum()).filter(
        pl.col("result") != "open"
    )
    paused = (pl.col("stretch") != pl.col("stretch").shift(1)).fill_null(value=False)
    few = pl.int_range(pl.len()).over(pl.struct("result", "stretch").rle_id()) < longest
    columns = ("before", "interval", "paused", "decided_ns", "result", "how", "status")
    return rows.with_columns(paused=paused).filter(few).select(columns).rows()


def reason(how: str | None, status: int | None) -> str:
    """What a probe met, in a few words."""
    words = {
        None: "answered",
        "refused": "refused",
        "status": f"status {status}",
        "redirect": f"redirected (status {status})",
        "auth": f"login wanted (status {status})",
        "timeout": "no answer after the request",
        "slow": "answered too late",
        "invalid": "no valid answer",
        "unanswered": "no answer to the SYN",
        "rejected": "rejected (ICMP)",
        "answer-lost": "the answer to the SYN got lost",
    }
    return f"status {status}" if how is None and status is not None else words[how]


def stretches_of(healths: Iterable[Health], wanted: State) -> list[tuple[int, int]]:
    """When all of these are in one state at once, as (from, to); empty when there are none of them."""
    told = list(healths)
    edges: list[tuple[int, int]] = []
    for health in told:
        for start, end, state in health.stretches():
            if state == wanted and end > start:
                edges += [(start, 1), (end, -1)]
    found, depth, since = [], 0, 0
    for time, step in sorted(edges):
        if step < 0 and depth == len(told) and time > since:
            found.append((since, time))
        depth += step
        if step > 0 and depth == len(told):
            since = time
    return found
