"""What a clock that was set back while capturing does to verdicts: which of two frames came first is not sure then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import polars as pl

from flowscope.capture.points import Point
from flowscope.findings import Finding, Verdict
from flowscope.window import Window

#: What these say holds in any order; clock-offset says it of itself.
_WHATEVER_THE_ORDER = frozenset({"clock-offset", "truncated-packets"})


def set_back(window: Window) -> list[Point]:
    """The points in whose files the time goes back."""
    numbers = set(window.point_table.filter(pl.col("set_back_ns") > 0)["point"].to_list())
    return [point for point in window.points if point.number in numbers]


def doubt(findings: Iterable[Finding], window: Window) -> Iterator[Finding]:
    """Makes confirmed findings likely whose evidence comes from files in which the time goes back."""
    twofold = set_back(window)
    for finding in findings:
        captures = {item.capture for item in finding.evidence}
        where = " and ".join(point.name for point in twofold if captures & set(point.captures))
        if not where or finding.verdict is not Verdict.CONFIRMED or finding.rule in _WHATEVER_THE_ORDER:
            yield finding
            continue
        caveat = f"The time at {where} goes back in mid-capture: what came first there is not sure."
        yield replace(finding, verdict=Verdict.LIKELY, caveats=(*finding.caveats, caveat))
