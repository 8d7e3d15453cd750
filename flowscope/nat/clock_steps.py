"""When a point's clock was set while it captured, as its difference to the reference shows it.

A difference that is a line broken in two was measured until one time and again from another: the clock was set between
them. Where a clock is compared with the reference over other points, a step of one of those shows in two differences,
and takes itself away again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from flowscope.nat.clock_fit import Stretch


@dataclass(frozen=True, slots=True)
class Step:
    """A clock was set between two of its own times."""

    after_ns: int
    before_ns: int
    by_ns: int
    """How far it was set forward; negative when back."""


def steps(
    hops: Sequence[Sequence[Stretch]], lead_ns: Callable[[int, int], int], first_ns: int, least_ns: int
) -> tuple[Step, ...]:
    """The steps of a clock, first to last, that are no smaller than ``least_ns``.

    Args:
        hops: its differences to the reference, one after the other.
        lead_ns: how far it is ahead at one of its times, by the first so many of the hops.
        first_ns: when it began to capture.
        least_ns: the smallest step to tell.
    """
    found: list[tuple[int, int]] = []
    for number, hop in enumerate(hops):
        # What is measured further on is measured by the clocks there.
        ahead = lead_ns(first_ns, number)
        found += [(one.until_ns + ahead, two.from_ns + ahead) for one, two in pairwise(hop)]
    told = []
    for after, before in _together(sorted(found)):
        by = lead_ns(before, len(hops)) - lead_ns(after, len(hops))
        if abs(by) >= least_ns:
            told.append(Step(after, before, by))
    return tuple(told)


def same_steps(one: Sequence[Step], other: Sequence[Step], least_ns: int) -> bool:
    """True when two clocks were set as often and as far, to less than ``least_ns``: then a third one was."""
    return len(one) == len(other) and all(abs(a.by_ns - b.by_ns) < least_ns for a, b in zip(one, other, strict=True))


def _together(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of time that overlap, as one."""
    kept: list[tuple[int, int]] = []
    for after, before in spans:
        if kept and after <= kept[-1][1]:
            first, last = kept.pop()
            after, before = first, max(last, before)
        kept.append((after, before))
    return kept
