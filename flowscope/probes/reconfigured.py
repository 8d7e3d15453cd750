"""A prober that is set up otherwise in mid-capture: another interval, or another path that it asks for.

A change is believed when the probes on both sides of it are even, each at its own pace; a late probe, or some that the
capture missed, are none. Some probers ask more slowly, or faster, while a member is down: that looks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

#: Pauses in a row that it takes to know a pace; they differ from it by less than this share of it.
_PAUSES, _EVEN = 4, 0.25
#: Probes in a row that it takes to know a path; one that is asked among others is theirs.
_ASKED = 2
#: A prober asks for a few paths; who asks for more is none.
_MOST_PATHS = 8


@dataclass(frozen=True, slots=True)
class Setting:
    """How a prober was set up for a time."""

    first_ns: int
    """The first probe that shows it; the change lies before that, and after the last one of the setting before."""
    last_ns: int
    interval_ns: int | None
    """None where too few probes show it."""
    target: str | None
    """The path that it asks for, where it could be read."""


def settings(times: Sequence[int], targets: Sequence[str | None]) -> tuple[Setting, ...]:
    """The settings one after the other; empty when there is but one, or none is known.

    Args:
        times: when the probes of a series were sent, in order.
        targets: what each asked for; None where it did not come so far, or cannot be read.
    """
    paces, paths = _paces(times), _paths(targets)
    if len(paces) < 2 and len(paths) < 2:
        return ()
    starts = {at for at, _ in paths}
    for at, _ in paces:
        # Pace and path that change together do so at one probe.
        if not starts & {at - 1, at, at + 1}:
            starts.add(at)
    found = []
    ordered = sorted(starts | {0})
    for at, after in zip(ordered, [*ordered[1:], len(times)], strict=True):
        interval = next((beat for start, beat in reversed(paces) if start <= at + 1), None)
        target = next((path for start, path in reversed(paths) if start <= at), None)
        found.append(Setting(times[at], times[after - 1], interval, target))
    return tuple(found)


def intervals(times: Sequence[int]) -> list[int] | None:
    """The interval at each probe, the longer one about a change; None when there was no change."""
    paces = _paces(times)
    if len(paces) < 2:
        return None
    own = []
    for at in range(len(times)):
        before = next((beat for start, beat in reversed(paces) if start <= at), paces[0][1])
        after = next((beat for start, beat in reversed(paces) if start <= at + 1), before)
        own.append(max(before, after))
    return own


def in_turn(targets: Sequence[str | None]) -> bool:
    """True when several paths are asked for by turns, each of them often enough to have a pace."""
    said = [target for target in targets if target is not None]
    known = {target for target in said if said.count(target) >= _PAUSES} if len(set(said)) <= _MOST_PATHS else set()
    return len(known) > 1 and known == set(said) and len(_paths(targets)) < len(known)


def _paces(times: Sequence[int]) -> list[tuple[int, int]]:
    """From which probe on which pace is kept; empty when the first probes show none."""
    pauses = [after - before for before, after in pairwise(times)]
    beat = _beat(pauses[:_PAUSES])
    if beat is None:
        return []
    found = [(0, beat)]
    for at, pause in enumerate(pauses):
        if abs(pause - beat) > beat * _EVEN:
            new = _beat(pauses[at : at + _PAUSES])
            if new is not None and abs(new - beat) > beat * _EVEN:
                beat = new
                found.append((at + 1, beat))
    return found


def _beat(pauses: Sequence[int]) -> int | None:
    """The pace of pauses that are all alike."""
    if len(pauses) < _PAUSES or (beat := round(median(pauses))) <= 0:
        return None
    return beat if all(abs(pause - beat) <= beat * _EVEN for pause in pauses) else None


def _paths(targets: Sequence[str | None]) -> list[tuple[int, str]]:
    """From which probe on which path is asked for; empty when several are asked for in turn."""
    rows: list[tuple[int, str]] = []
    seen = [(at, target) for at, target in enumerate(targets) if target is not None]
    for target, row in groupby(seen, key=lambda one: one[1]):
        own = list(row)
        if len(own) < _ASKED or any(target == before for _, before in rows):
            return []
        rows.append((own[0][0], target))
    return [(0, target) if number == 0 else (at, target) for number, (at, target) in enumerate(rows)]
