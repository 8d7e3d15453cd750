"""Pools as the report's objects: their members taken together over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowscope.report.safe_text import safe_unicode
from flowscope.report.times import rfc3339_text

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.probes.arrivals import End
    from flowscope.probes.pools import PoolChange, PoolHealth


def pool_objects(analysis: Analysis) -> list[dict[str, Any]]:
    """One object per pool of which probes were captured."""
    return [
        {
            "name": pool_name(analysis, pool),
            "frontends": [end_text(analysis, end) for end in pool.group.frontends],
            "members": [end_text(analysis, end) for end in pool.group.members if end[0] >= 0],
            "fails_open": pool.fails_open,
            "timeline": [
                {"time": rfc3339_text(one.time_ns), "state": one.state, "reason": reason(analysis, pool, one)}
                for one in pool.timeline
            ],
        }
        for pool in analysis.pool_health
    ]


def pool_name(analysis: Analysis, pool: PoolHealth) -> str:
    """The topology's name of it, else its frontend."""
    return safe_unicode(pool.group.name or end_text(analysis, pool.group.frontends[0]))


def reason(analysis: Analysis, pool: PoolHealth, change: PoolChange) -> str:
    """On which member it turned, and what the balancer is documented to do while none is up."""
    called = f"{end_text(analysis, change.member)} is {change.became} ({change.reason})"
    if change.state != "down":
        return called
    does = {True: ": all are used in turn", False: ": no new connections", None: ""}[pool.fails_open]
    return f"the last member, {called}{does}"


def end_text(analysis: Analysis, end: End) -> str:
    """``10.0.0.4:8080``."""
    text = str(analysis.addresses["text"][end[0]])
    return f"[{text}]:{end[1]}" if ":" in text else f"{text}:{end[1]}"
