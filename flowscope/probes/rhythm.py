"""Which member a probe was meant for that no member's point saw: the one whose own series lacks it just then."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

#: How far from its beat a probe may be, in intervals; others of its series lie farther away than the second.
_OFF_BEAT, _HOLE = 0.1, 0.75
#: A beat is carried on over so many intervals: its error grows with each.
_FAR = 10
#: Calls that it takes to have a beat, and how many of the pauses must be even.
_ENOUGH, _MOSTLY = 5, 0.8


def missing_beats(series: Sequence[Sequence[int]], strays: Sequence[int]) -> dict[int, int]:
    """For each stray the number of the one series in whose beat it falls and which has nothing there.

    Args:
        series: times of calls, one list per member, in order.
        strays: times of calls of the same caller that no member's point saw.
    """
    own = [list(times) for times in series]
    beats = [_beat(times) for times in own]
    found: dict[int, int] = {}
    left = sorted(strays, key=lambda at: min((abs(at - time) for times in own for time in times), default=0))
    for at in left:
        fitting = [
            number
            for number, (times, beat) in enumerate(zip(own, beats, strict=True))
            if beat is not None and _lacks(times, beat, at)
        ]
        if len(fitting) == 1:
            found[at] = fitting[0]
            insort(own[fitting[0]], at)
    return found


def _beat(times: Sequence[int]) -> float | None:
    """The interval of an even series."""
    pauses = [after - before for before, after in pairwise(times)]
    if len(times) < _ENOUGH or (beat := median(pauses)) <= 0:
        return None
    even = sum(abs(pause - round(pause / beat) * beat) <= beat * _OFF_BEAT for pause in pauses)
    return float(beat) if even >= len(pauses) * _MOSTLY else None


def _lacks(times: Sequence[int], beat: float, at: int) -> bool:
    """True when a call at that time would be in step with the nearest ones, and is beside none of them."""
    place = bisect_left(times, at)
    near = min(times[max(place - 1, 0) : place + 1], key=lambda time: abs(time - at))
    beats = abs(at - near) / beat
    return beats >= _HOLE and round(beats) <= _FAR and abs(beats - round(beats)) <= _OFF_BEAT
