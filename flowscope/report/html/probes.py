"""Probes over time: one line per member and prober, with every probe and the state that the balancer made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from flowscope.probes.replay import reason
from flowscope.report.html.axis import Axis
from flowscope.report.html.page import section as part
from flowscope.report.html.quality import table
from flowscope.report.layout import counted, shortened
from flowscope.report.markup import Child, Element, element
from flowscope.report.probe_rows import endpoint, latency_ms
from flowscope.report.probes_text import in_doubt
from flowscope.report.times import SECOND

if TYPE_CHECKING:
    from flowscope.probes.policies import State
    from flowscope.probes.pools import PoolHealth
    from flowscope.probes.replay import Health
    from flowscope.report.html.view import View

_WIDTH, _LEFT, _ROW = 1160, 250, 46
_MOST_ROWS = 60
_MOST_POOLS = 10
_MOST_MARKS = 400
_MOST_CHANGES = 40
_SIGNS = {"up": "▲ up", "down": "▼ down", "unknown": "? unknown"}


def section(view: View) -> Element | None:
    """The probes; None when there were none."""
    healths = view.analysis.health
    if not healths:
        return None
    shown = sorted(healths, key=lambda one: not any(change.state == "down" for change in one.timeline))[:_MOST_ROWS]
    more = len(healths) - len(shown)
    return part(
        "probes",
        "Health probes",
        element(
            "p",
            "The state that follows from the probes under the balancer's policy. A tick above the line is a probe that "
            "was good, a cross below it one that failed; hatched: down, dotted: nobody can tell.",
            class_="hint",
        ),
        element("div", _drawing(view, shown), class_="scroll drawing", role="region", aria_label="Probes over time",
                tabindex=0),
        element("p", f"And {more} more, all of them up.") if more > 0 else None,
        _table(view, shown),
        _changes(view, shown),
        short="Probes",
    )  # fmt: skip


def _drawing(view: View, healths: list[Health]) -> Element:
    begin = min(int(str(one.readings["sent_ns"].min())) for one in healths)
    end = max(one.known_until_ns for one in healths)
    axis = Axis(begin, end, _LEFT, _WIDTH - 20)
    pools = [pool for pool in view.analysis.pool_health if len(pool.group.members) > 1][:_MOST_POOLS]
    bottom = 10 + _ROW * (len(pools) + len(healths))
    rows = [_pool(view, pool, axis, 10 + _ROW * at) for at, pool in enumerate(pools)]
    rows += [_row(view, health, axis, 10 + _ROW * at) for at, health in enumerate(healths, len(pools))]
    hatch = element(
        "pattern", element("rect", width=6, height=6, class_="hatch-ground"),
        element("path", d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5", class_="hatch"),
        id="down-hatch", width=6, height=6, patternUnits="userSpaceOnUse",
    )  # fmt: skip
    return element(
        "svg",
        element("title", "State of the members over time"),
        element("defs", hatch),
        *axis.drawn(6, bottom),
        *rows,
        viewBox=f"0 0 {_WIDTH} {bottom + 24}",
        width=_WIDTH,
        height=bottom + 24,
        role="group",
        aria_label="State of the members over time",
        class_="timeline",
    )


def _pool(view: View, pool: PoolHealth, axis: Axis, y: float) -> Element:
    """All members of a pool taken together: down while every one of them is."""
    called = ", ".join(view.endpoint(*one) for one in pool.group.frontends)
    told = f"pool {pool.group.name or called}"
    words = ", ".join(f"{change.state} from {view.moment(change.time_ns, 3)}" for change in pool.timeline[:6])
    return element(
        "g",
        element("title", f"{told}: {words or 'no state'}"),
        element("text", shortened(told, 34), x=_LEFT - 12, y=y + 18, class_="name"),
        element("text", "all members together", x=_LEFT - 12, y=y + 32, class_="detail"),
        *_states(view, pool.stretches(), axis, y),
        role="img",
        aria_label=f"{told}: {words or 'no state'}",
        class_="pool-line",
    )


def _states(view: View, stretches: Iterable[tuple[int, int, State]], axis: Axis, y: float) -> list[Element]:
    return [
        element(
            "rect", element("title", f"{state} from {view.moment(start, 3)} to {view.moment(stop, 3)}"),
            x=axis.x(start), y=y + 12, width=max(axis.x(stop) - axis.x(start), 1.5), height=14, class_=f"state {state}",
        )
        for start, stop, state in stretches
    ]  # fmt: skip


def _row(view: View, health: Health, axis: Axis, y: float) -> Element:
    told = f"{_called(view, health)}, asked by {view.address(health.series.source)}"
    words = ", ".join(
        f"{change.state} from {view.moment(change.time_ns, 3)} ({change.reason})" for change in health.timeline[:6]
    )
    return element(
        "g",
        element("title", f"{told}: {words or 'no state'}"),
        element("text", shortened(_called(view, health), 34), x=_LEFT - 12, y=y + 18, class_="name"),
        element("text", f"asked by {view.address(health.series.source)}", x=_LEFT - 12, y=y + 32, class_="detail"),
        *_states(view, health.stretches(), axis, y),
        *_marks(view, health, axis, y),
        role="img",
        aria_label=f"{told}: {words or 'no state'}",
        class_="member-line",
    )


def _marks(view: View, health: Health, axis: Axis, y: float) -> list[Element]:
    """The probes one by one; of very many only those that failed."""
    readings = health.readings
    if readings.height > _MOST_MARKS:
        readings = readings.filter(pl.col("result") == "bad").head(_MOST_MARKS)
    made = []
    for sent, result, how, status in readings.select("sent_ns", "result", "how", "status").iter_rows():
        x = axis.x(sent)
        if result == "bad":
            text = f"{view.moment(sent, 3)}: {reason(how, status)}"
            mark = element(
                "path", element("title", text), d=f"M{x - 3:.1f} {y + 29:.1f}l6 6m0 -6l-6 6", class_="bad-probe"
            )
            made.append(mark)
        elif result == "good":
            made.append(element("line", x1=x, x2=x, y1=y + 6, y2=y + 11, class_="good-probe"))
        else:
            made.append(element("circle", cx=x, cy=y + 8, r=1.6, class_="open-probe"))
    return made


def _table(view: View, healths: list[Health]) -> Element:
    rows: list[tuple[Child, ...]] = []
    for one in healths:
        latency = latency_ms(one)
        state = one.timeline[-1].state if one.timeline else "unknown"
        rows.append(
            (
                _called(view, one),
                view.address(one.series.source),
                f"{one.series.protocol}, every {one.series.interval_ns / SECOND:.3g} s",
                one.series.policy,
                f"{one.sent:,}",
                f"{one.succeeded:,}",
                element("span", f"{one.failed.height:,}", class_="bad" if one.failed.height else None),
                "-" if latency is None else f"{latency:.3g} ms",
                _SIGNS[state],
            )
        )
    names = ("Member", "Prober", "Asks", "Policy", "Sent", "Good", "Failed", "Latency (median)", "In the end")
    return table("Probes by member", names, rows, frozenset({4, 5, 6, 7}))


def _changes(view: View, healths: list[Health]) -> Element | None:
    rows: list[tuple[int, tuple[Child, ...]]] = [
        (
            change.time_ns,
            (
                view.moment(change.time_ns, 3),
                _called(view, one),
                _SIGNS[change.state],
                change.reason + in_doubt(change, True),
            ),
        )
        for one in healths
        for change in one.timeline
    ]
    if not rows:
        return None
    ordered = [row for _, row in sorted(rows, key=lambda row: row[0])]
    return element(
        "details",
        element("summary", f"Every change of state ({counted(len(ordered), 'change')})"),
        table("Changes of state", ("Time (UTC)", "Member", "State", "Because"), ordered[:_MOST_CHANGES], frozenset()),
        element("p", f"And {len(ordered) - _MOST_CHANGES} more; `flowscope probes` lists them.")
        if len(ordered) > _MOST_CHANGES
        else None,
    )


def _called(view: View, health: Health) -> str:
    name = view.name(health.series.member, health.series.port)
    asked = endpoint(view.analysis, health)
    return f"{name} ({asked})" if name else asked
