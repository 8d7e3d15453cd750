"""The clocks of a run's files as they were made wrong, and what a report says of them.

The points of the lab share one host's clock, so what a degradation added is the whole difference. A proxy's own time is
part of every bound across it, for a request leaves it after it came: half of the shortest stay of a request and its
response is doubt that no capture removes. It is well below what is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowscope.analysis import Analysis
from flowscope.capture.points import Point
from tests.lab.files import Capture
from tests.lab.visible import Visible

#: Paths that two points must share, seen in both directions, for their clocks to be known within so much.
ENOUGH_PATHS, CLOSE_NS = 20, 100_000


@dataclass(frozen=True)
class TrueClock:
    """A clock that is ahead of the host's since its first frame (host's time), and gains on it."""

    first_ns: int = 0
    ahead_ns: int = 0
    ppm: float = 0.0

    def shows(self, host_ns: int) -> int:
        """Its time at a moment of the host's clock."""
        return host_ns + self.ahead_ns + round((host_ns - self.first_ns) * self.ppm / 1e6)

    def host(self, shown_ns: int) -> int:
        """The host's time when it showed that."""
        away_ns = shown_ns - self.first_ns - self.ahead_ns
        # The whole time since the epoch would lose nanoseconds in a float.
        return self.first_ns + away_ns - round(away_ns * (1 - 1 / (1 + self.ppm / 1e6)))


def as_played(told: dict[str, Any], captures: Mapping[str, Capture]) -> dict[str, TrueClock]:
    """The clocks of a run's files: a scenario may have set one wrong."""
    clocks = dict.fromkeys(captures, TrueClock())
    if "offset_s" in told["extra"]:
        (file,) = {row["file"] for row in told["captures"] if row["vantage"] == told["extra"]["point"]}
        ahead_ns = round(told["extra"]["offset_s"] * 1e9)
        if file in captures:
            first = min(frame.ns for frame in captures[file].frames)
            clocks[file] = TrueClock(first - ahead_ns, ahead_ns, told["extra"]["skew_ppm"])
    return clocks


def by_host(capture: Capture, clock: TrueClock) -> Capture:
    """The capture with the host's times."""
    frames = [replace(frame, ns=clock.host(frame.ns)) for frame in capture.frames]
    return Capture(list(capture.links), list(capture.names), capture.snap, frames)


#: A clock that is further ahead was moved.
_MOVED_NS = 10**9


@dataclass
class Heard:
    """What a report says of a run's clocks: the worst of it, and where it is not true."""

    off_ns: int | None = None
    """The largest error, at any flow, of an offset between points that saw packets of enough paths; None without."""
    bound_ns: int | None = None
    """What was stated there."""
    wrong: list[str] = field(default_factory=list)


def heard(analysis: Analysis, files: list[str], clocks: Mapping[str, TrueClock], visible: Visible) -> Heard:
    """Compares the offsets of a report with the true ones, at each point's first frame and at all of its flows.

    Args:
        analysis: of these files, in this order.
        files: their names.
        clocks: how each file's clock was.
        visible: what they show, by the host's clock.
    """
    result = Heard()
    weight = dict(analysis.flows.group_by("point").len().iter_rows())
    points = [point for point in analysis.points if point.number in weight]
    for island in _islands(points, files, visible):
        # Each island is told on the clock of one of its points, which has no error: one that most others agree with.
        reference = min(island, key=lambda point: (point.clock_error_ns != 0, -weight[point.number], point.number))
        result.wrong += _outnumbered(island, reference, clocks, files)
        truly = clocks[files[reference.captures[0]]]
        for point in island:
            _judge(result, analysis, point, reference, (clocks[files[point.captures[0]]], truly), files, visible)
    return result


def _judge(
    result: Heard, analysis: Analysis, point: Point, reference: Point, clocks: tuple[TrueClock, TrueClock],
    files: list[str], visible: Visible,
) -> None:  # fmt: skip
    if point is reference:
        return
    own, truly = clocks
    flows = analysis.flows.filter(analysis.flows["point"] == point.number)
    first_ns = int(flows["first_ns"].min())  # type: ignore[arg-type]
    names = files[point.captures[0]], files[reference.captures[0]]
    many = visible.shared(*names, "both") >= ENOUGH_PATHS
    if point.clock_error_ns is None:
        # Not told is right only where nothing can be known.
        if visible.shared(*names, "opening"):
            result.wrong.append(f"{point.name}: clock not told")
        return
    # The statement is about the first frame of the point, which may be no packet of a flow; that is near enough.
    true_ns = truly.shows(own.host(first_ns)) - first_ns
    off = abs(point.clock_offset_ns + round(_drift(point, first_ns, analysis)) - true_ns)
    if off > point.clock_error_ns:
        result.wrong.append(f"{point.name}: {off:,} ns off, {point.clock_error_ns:,} stated")
    if many:
        gaps = flows.select("first_ns", "at_ns").rows()
        worst = max(abs(at - truly.shows(own.host(shown))) for shown, at in gaps)
        if result.off_ns is None or worst > result.off_ns:
            result.off_ns, result.bound_ns = worst, point.clock_error_ns
        if max(worst, off) > CLOSE_NS:
            result.wrong.append(f"{point.name}: {max(worst, off):,} ns off, though many paths are shared")


def _outnumbered(island: list[Point], reference: Point, clocks: Mapping[str, TrueClock], files: list[str]) -> list[str]:
    """Says when the reference is one whose clock was moved, and most were not."""
    moved = [point for point in island if abs(clocks[files[point.captures[0]]].ahead_ns) > _MOVED_NS]
    if reference in moved and 2 * len(moved) < len(island):
        return [f"{reference.name}: the only moved clock counts as the right one"]
    return []


def _drift(point: Point, time_ns: int, analysis: Analysis) -> float:
    """How much the stated offset has changed since the point's first frame."""
    begin = min(c.first_ns for c in analysis.captures if c.id in point.captures and c.first_ns is not None)
    return (time_ns - begin) * point.clock_skew_ppm / 1e6


def _islands(points: list[Point], files: list[str], visible: Visible) -> list[list[Point]]:
    """The points in groups that share connections, by what their packets show."""
    islands: list[list[Point]] = []
    for point in points:
        own = files[point.captures[0]]
        near = [i for i in islands if any(visible.shared(own, files[other.captures[0]], "any") for other in i)]
        islands = [i for i in islands if i not in near] + [[point, *(one for i in near for one in i)]]
    return islands
