"""A time axis for drawings: where a moment stands, and round marks below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowscope.report.markup import Element, element
from flowscope.report.times import SECOND, clock, day

_ROUND_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MARKS = 7


@dataclass(frozen=True, slots=True)
class Axis:
    """From one moment to another, between two positions."""

    first_ns: int
    last_ns: int
    left: float
    right: float

    def x(self, time_ns: int) -> float:
        """Where a moment stands; those outside stand at the ends."""
        share = (time_ns - self.first_ns) / max(self.last_ns - self.first_ns, 1)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def marks(self) -> list[int]:
        """Round moments, at most seven."""
        wanted = (self.last_ns - self.first_ns) / _MARKS
        step_ns = next((one * SECOND for one in _ROUND_S if one * SECOND >= wanted), int(wanted) + 1)
        if self.last_ns - self.first_ns < 2 * SECOND:
            step_ns = max(self.last_ns - self.first_ns, 2) // 2
            return [self.first_ns + step_ns * at for at in range(3)]
        begin = -(-self.first_ns // step_ns) * step_ns
        return list(range(begin, self.last_ns + 1, step_ns))

    def drawn(self, top: float, bottom: float) -> Iterator[Element]:
        """The marks: a thin line through the drawing and the time below it."""
        days = day(self.first_ns, True) != day(self.last_ns, True)
        short = self.last_ns - self.first_ns < 2 * SECOND
        for moment in self.marks():
            x = self.x(moment)
            text = clock(moment, True, 3 if short else 0).rstrip(".")
            yield element("line", x1=x, x2=x, y1=top, y2=bottom, class_="mark")
            yield element(
                "text", f"{day(moment, True)[5:]} {text}" if days else text, x=x, y=bottom + 15, class_="axis"
            )
