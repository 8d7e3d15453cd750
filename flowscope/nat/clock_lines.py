"""All lines that handshakes allow: how far one clock can be ahead of another, and how fast it can gain.

A handshake bounds the difference of two clocks from both sides at one moment. A line that keeps within the bounds of
all of them is possible, every other is not; the possible ones form a convex polygon in the plane of offset and rate,
and what they say of a moment is the whole doubt about it.
"""

from __future__ import annotations

from collections.abc import Iterable

#: An offset in nanoseconds at the origin, and a rate (nanoseconds per nanosecond).
Line = tuple[float, float]
Moment = tuple[float, float]
"""Time since the origin, and an offset then."""


def hull(moments: Iterable[Moment]) -> list[Moment]:
    """The moments whose offsets a line must not exceed; it exceeds none of the others then."""
    kept: list[Moment] = []
    for here in sorted(moments):
        while len(kept) > 1 and _above(kept[-2], kept[-1], here):
            kept.pop()
        if kept and kept[-1][0] == here[0]:
            continue
        kept.append(here)
    return kept


def _above(one: Moment, other: Moment, last: Moment) -> bool:
    """True when the middle one lies on or above the line between the others."""
    return (other[1] - one[1]) * (last[0] - one[0]) >= (last[1] - one[1]) * (other[0] - one[0])


def possible_lines(least: list[Moment], most: list[Moment], fastest: float) -> list[Line]:
    """The corners of the polygon of lines within bounds and no faster than ``fastest``; empty without such a line.

    Args:
        least: the lower bounds that matter, as :func:`hull` returns them of their negatives: still negative.
        most: the upper bounds that matter.
        fastest: a rate.
    """
    times = [time for time, _ in (*least, *most)]
    reach = fastest * max(map(abs, times)) + 1
    low, high = min(-one for _, one in least) - reach, max(one for _, one in most) + reach
    corners: list[Line] = [(low, -fastest), (high, -fastest), (high, fastest), (low, fastest)]
    for time, bound in most:
        corners = _cut(corners, 1.0, time, bound)
    for time, bound in least:
        corners = _cut(corners, -1.0, -time, bound)
    return corners


def _cut(corners: list[Line], a: float, b: float, limit: float) -> list[Line]:
    """The part of the polygon where ``a * offset + b * rate <= limit``."""
    kept: list[Line] = []
    for at, here in enumerate(corners):
        before = corners[at - 1]
        over, over_before = a * here[0] + b * here[1] - limit, a * before[0] + b * before[1] - limit
        if (over > 0) != (over_before > 0):
            share = over_before / (over_before - over)
            kept.append((before[0] + share * (here[0] - before[0]), before[1] + share * (here[1] - before[1])))
        if over <= 0:
            kept.append(here)
    return kept


def amid(corners: list[Line], span: float) -> Line:
    """The line amid the possible ones: no other is nearer to the outermost of them, at the origin or ``span`` later."""
    begin, end = (_span([(offset + rate * time, rate) for offset, rate in corners]) or (0.0, 0.0) for time in (0, span))
    here, there = sum(begin) / 2, sum(end) / 2
    return here, (there - here) / span if span else 0.0


def steady(corners: list[Line]) -> tuple[float, float] | None:
    """The least and the largest offset of the possible lines without drift; None when all of them drift."""
    return _span(_cut(_cut(corners, 0.0, 1.0, 0.0), 0.0, -1.0, 0.0))


def _span(corners: list[Line]) -> tuple[float, float] | None:
    offsets = [one[0] for one in corners]
    return (min(offsets), max(offsets)) if offsets else None


def doubt(corners: Iterable[Line], chosen: Line, time: float) -> float:
    """How far the possible lines are from the chosen one at a moment, at most."""
    here = chosen[0] + chosen[1] * time
    return max(abs(offset + rate * time - here) for offset, rate in corners)
