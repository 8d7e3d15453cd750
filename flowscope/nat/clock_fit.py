"""One clock against another: a line per stretch between steps.

Each handshake that two points saw bounds the difference of their clocks at one moment. Crystals drift by a constant
rate (parts per million), NTP sets clocks back or forth at once: so the difference is a line, broken at steps. All lines
that the handshakes allow (:mod:`flowscope.nat.clock_lines`) make the doubt about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from flowscope.nat.clock_lines import Line, amid, doubt, hull, possible_lines, steady

#: Handshakes that a line is trimmed by, and that a step needs.
_LINE_SAMPLES, _STEP_SAMPLES = 8, 5
#: No drift is told while a line without one leaves hardly more doubt than the best line does.
_HARDLY_MORE = 1.25
#: No crystal is off by more; a change that is faster is a step.
_FASTEST_DRIFT = 0.001
#: No time stamp is better than this, whatever its digits say.
_RESOLUTION_NS = 1_000
#: Ordinary crystals stay within 100 millionths of true time, so two of them within this of each other.
USUAL_DRIFT = 0.0002
#: A rate that was measured may change by this when nobody looks: temperature does it.
_WANDER = 0.000001
_SMALLEST_STEP_NS = 1_000_000
#: Handshakes with the smallest doubt that decide.
_BEST = 20
#: So many handshakes in all are looked at, the best of each moment.
MOST = 2000


@dataclass(frozen=True, slots=True)
class Sample:
    """What one handshake says: at ``at_ns`` the clock was ``offset_ns`` ahead, give or take ``doubt_ns``."""

    at_ns: int
    offset_ns: int
    doubt_ns: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """From ``from_ns`` on the clock is ahead by ``offset_ns + rate * (t - at_ns)``.

    That was measured from ``at_ns`` to ``until_ns``. ``corners`` are the outermost lines that the handshakes allow, as
    offset at ``at_ns`` and rate.
    """

    from_ns: int
    at_ns: int
    until_ns: int
    offset_ns: int
    rate: float
    corners: tuple[Line, ...]

    def doubt_at(self, time_ns: int) -> int:
        """How far off the difference may be at this time."""
        outside = max(self.at_ns - time_ns, time_ns - self.until_ns, 0)
        most = doubt(self.corners, (self.offset_ns, self.rate), time_ns - self.at_ns)
        return round(most + _WANDER * outside) + _RESOLUTION_NS

    @property
    def drifts(self) -> bool:
        """True when no line without drift would do."""
        return steady(list(self.corners)) is None

    @property
    def may_be_none(self) -> bool:
        """True when no difference at all would do as well."""
        here = steady(list(self.corners))
        return here is not None and here[0] - _RESOLUTION_NS <= 0 <= here[1] + _RESOLUTION_NS

    def none(self) -> Stretch:
        """The same handshakes, taken to show no difference."""
        return replace(self, offset_ns=0, rate=0.0)


def fit(samples: Sequence[Sample]) -> list[Stretch]:
    """The stretches that fit these samples, first to last; at least one sample is needed."""
    ordered = sorted(_spread(samples), key=lambda sample: sample.at_ns)
    pieces, rest = [], ordered
    while (cut := _step(rest)) is not None:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    pieces.append(rest)
    return [_line(piece, first=at == 0) for at, piece in enumerate(pieces)]


def _spread(samples: Sequence[Sample]) -> list[Sample]:
    """At most so many samples, the best of each moment."""
    if len(samples) <= MOST:
        return list(samples)
    ordered = sorted(samples, key=lambda sample: sample.at_ns)
    size = -(-len(ordered) // MOST)
    return [min(ordered[at : at + size], key=lambda one: one.doubt_ns) for at in range(0, len(ordered), size)]


def _step(ordered: list[Sample]) -> int | None:
    """Where the clock was first set: the place between two samples, None when it never was."""
    offsets = [sample.offset_ns for sample in ordered]
    for cut in range(_STEP_SAMPLES, len(ordered) - _STEP_SAMPLES + 1):
        before, after = ordered[cut - _STEP_SAMPLES : cut], ordered[cut : cut + _STEP_SAMPLES]
        # The cut is where neighbours differ; medians on both sides keep one late SYN from being a step.
        nearby = abs(offsets[cut] - offsets[cut - 1])
        moved = abs(median(s.offset_ns for s in after) - median(s.offset_ns for s in before))
        spread = max(median(s.doubt_ns for s in before), median(s.doubt_ns for s in after))
        apart = after[-1].at_ns - before[0].at_ns
        least = _SMALLEST_STEP_NS + 10 * spread + USUAL_DRIFT * apart
        if moved > least and nearby > moved / 2 and _steady(before) and _steady(after):
            return cut
    return None


def _steady(samples: list[Sample]) -> bool:
    """True when samples next to one another agree as well as their doubt and the fastest drift allow."""
    middle = median(s.offset_ns for s in samples)
    slack = _FASTEST_DRIFT * (samples[-1].at_ns - samples[0].at_ns) + _SMALLEST_STEP_NS / 4
    return sum(abs(s.offset_ns - middle) <= 3 * s.doubt_ns + slack for s in samples) >= len(samples) - 1


def _line(piece: list[Sample], first: bool) -> Stretch:
    start, until = piece[0].at_ns, piece[-1].at_ns
    level = round(median(sample.offset_ns for sample in sorted(piece, key=lambda one: one.doubt_ns)[:_BEST]))
    corners = _possible(_near_a_line(piece, start, level), start, level)
    chosen = _chosen(corners, until - start)
    lines = tuple((one[0] + level, one[1]) for one in corners)
    return Stretch(-(2**63) if first else start, start, until, round(level + chosen[0]), chosen[1], lines)


def _chosen(corners: list[Line], span: int) -> Line:
    """The line amid the possible ones, or one without drift that is nearly as far from the outermost of them."""
    best = amid(corners, span)
    if flat := steady(corners):
        level = min(max(best[0] + best[1] * span / 2, flat[0]), flat[1]), 0.0
        if all(
            doubt(corners, level, end) <= _HARDLY_MORE * doubt(corners, best, end) + _RESOLUTION_NS for end in (0, span)
        ):
            return level
    return best


def _possible(kept: list[Sample], start: int, level: int) -> list[Line]:
    """The lines, offsets taken from the level, that all these samples allow.

    A sample may tell of something else (a replay, another copy of a SYN): what contradicts most of the others is left
    out. No clock keeps to a line for ever, either: what contradicts the others then widens the bounds of all.
    """
    if corners := _within(kept, start, level, 0):
        return corners
    agreeing, slack = _agreeing(kept), 0
    while not (corners := _within(agreeing, start, level, slack)):
        slack = 2 * slack or _RESOLUTION_NS
    # Lines that fit only just are not much likelier than those beside them.
    return _within(agreeing, start, level, 2 * slack) if slack else corners


def _within(kept: list[Sample], start: int, level: int, slack: int) -> list[Line]:
    """The lines within the bounds of these samples, each wider by ``slack``; of ordinary clocks if there are such."""
    least = hull((float(one.at_ns - start), float(level - one.offset_ns + one.doubt_ns + slack)) for one in kept)
    most = hull((float(one.at_ns - start), float(one.offset_ns - level + one.doubt_ns + slack)) for one in kept)
    return possible_lines(least, most, USUAL_DRIFT) or possible_lines(least, most, _FASTEST_DRIFT)


def _agreeing(kept: list[Sample]) -> list[Sample]:
    """The samples that agree with the one that most agree with; all when those are no majority."""

    def agree(one: Sample, other: Sample) -> bool:
        drift = USUAL_DRIFT * abs(one.at_ns - other.at_ns)
        return abs(one.offset_ns - other.offset_ns) <= one.doubt_ns + other.doubt_ns + drift + _RESOLUTION_NS

    best = sorted(kept, key=lambda one: one.doubt_ns)[:_BEST]
    largest = max(([other for other in kept if agree(one, other)] for one in best), key=len)
    return largest if 2 * len(largest) > len(kept) else kept


def _near_a_line(piece: list[Sample], start: int, level: int) -> list[Sample]:
    """The samples near the line through them all.

    The surer a sample is, the more it counts. Least squares, then again without what lies far off (a SYN that was sent
    again).
    """
    kept = piece
    for _ in range(3):
        # Offsets are taken from the level, so that squares do not lose nanoseconds.
        rows = [((s.at_ns - start) / 1e9, s.offset_ns - level, 1 / (s.doubt_ns + 1_000) ** 2) for s in kept]
        total = sum(w for _, _, w in rows)
        mean_x = sum(w * x for x, _, w in rows) / total
        mean_y = sum(w * y for _, y, w in rows) / total
        spread = sum(w * (x - mean_x) ** 2 for x, _, w in rows)
        slope = sum(w * (x - mean_x) * (y - mean_y) for x, y, w in rows) / spread if spread else 0.0
        rate, offset = slope / 1e9, level + mean_y - slope * mean_x
        off = [abs(s.offset_ns - offset - rate * (s.at_ns - start)) for s in kept]
        limit = 5 * median(off) + 1_000
        trimmed = [s for s, away in zip(kept, off, strict=True) if away <= limit + s.doubt_ns]
        if len(trimmed) == len(kept) or len(trimmed) < _LINE_SAMPLES:
            break
        kept = trimmed
    return kept
