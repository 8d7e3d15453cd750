"""SNAT ports over time: how many are in use towards each destination, how many there are, and who got none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from flowscope.report.html.axis import Axis
from flowscope.report.html.page import section as part
from flowscope.report.html.quality import table
from flowscope.report.layout import counted
from flowscope.report.markup import Child, Element, element
from flowscope.report.snat_rows import snat_rows
from flowscope.snat.sweep import levels
from flowscope.snat.usage import port_use

if TYPE_CHECKING:
    from flowscope.report.html.view import View
    from flowscope.snat.usage import PortUse

_MOST_CHARTS = 6
_MOST_ROWS = 100
_WIDTH, _HEIGHT = 1160, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 18, 26
_STEPS = 900
"""Points of a curve; of more that fall on one place the highest is drawn."""
_MOST_MARKS = 300


def section(view: View) -> Element | None:
    """Use of SNAT ports; None when nothing was translated."""
    use = port_use(view.analysis)
    if not use.pools.height or view.span_ns is None:
        return None
    worst = use.pools.sort(
        pl.col("refused"), pl.col("peak") / pl.col("ports_available"), "peak", "pool",
        descending=[True, True, True, False],
    )  # fmt: skip
    swept = levels(use.users.filter(~pl.col("refused")))
    close = worst.filter((pl.col("refused") > 0) | (pl.col("peak") * 2 >= pl.col("ports_available")))
    # Of many that are far from full, one shows it.
    drawn = close.head(_MOST_CHARTS) if close.height else worst.head(1)
    charts = [_chart(view, use, swept, row) for row in drawn.iter_rows(named=True)]
    rest = worst.height - len(charts)
    return part(
        "snat",
        "SNAT ports",
        element(
            "p",
            "Each connection to one destination needs a port of its own. The curve is the number of ports in use, the "
            "dashed line what there is, a cross a connection that got none.",
            class_="hint",
        ),
        *charts,
        element("p", f"{counted(rest, 'pool')} with less use are in the table only.") if rest > 0 else None,
        _table(view),
        short="SNAT",
    )


def _chart(view: View, use: PortUse, swept: pl.DataFrame, pool: dict[str, Any]) -> Element:
    assert view.span_ns is not None
    axis = Axis(*view.span_ns, _LEFT, _WIDTH - _RIGHT)
    top = max(pool["ports_available"] or 0, pool["peak"], 1) * 1.12
    ground = _HEIGHT - _BOTTOM

    def y(level: float) -> float:
        return float(ground - (ground - _TOP) * level / top)

    own = swept.filter(pl.col("pool") == pool["pool"], pl.col("at_ns") <= view.span_ns[1])
    line, area = _steps(own, axis, y, ground)
    refused = use.refusals.filter(pl.col("pool") == pool["pool"]) if use.refusals.height else use.refusals
    times = refused["first_ns"].to_list()[:_MOST_MARKS] if refused.height else []
    marks = [
        element("path", d=f"M{axis.x(one) - 3.5:.1f} {_TOP - 8}l7 7m0 -7l-7 7", class_="bad-probe") for one in times
    ]
    limit = pool["ports_available"]
    known = "" if pool["ports_known"] else " (as many as were seen)"
    target = view.endpoint(pool["destination"], pool["destination_port"])
    member = f", share of {view.host(pool['member'])}" if pool["member"] is not None else ""
    title = f"{view.host(pool['snat'])} to {target}{member}"
    words = f"{title}: at most {pool['peak']:,} of {limit:,} ports in use{known}, " + (
        f"{counted(pool['refused'], 'connection')} got none." if pool["refused"] else "every connection got one."
    )
    drawing = element(
        "svg",
        element("title", words),
        *axis.drawn(_TOP - 8, ground),
        element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=ground, y2=ground, class_="ground"),
        element("path", d=area, class_="area"),
        element("path", d=line, class_="curve"),
        element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(limit), y2=y(limit), class_="limit"),
        element("text", f"{limit:,}", x=_LEFT - 8, y=y(limit) + 4, class_="scale"),
        element("text", "0", x=_LEFT - 8, y=ground + 4, class_="scale"),
        *marks,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        aria_label=words,
        class_="timeline",
    )
    return element(
        "figure",
        element("figcaption", element("b", title), words.removeprefix(title)),
        element("div", drawing, class_="scroll drawing", role="region", aria_label=title, tabindex=0),
        class_="chart",
    )


def _steps(own: pl.DataFrame, axis: Axis, y: Any, ground: float) -> tuple[str, str]:
    """The curve, and the area below it, as paths of steps."""
    rows = own.select("at_ns", "level").rows()
    if len(rows) > _STEPS:
        width = max((axis.last_ns - axis.first_ns) // _STEPS, 1)
        binned = own.group_by(((pl.col("at_ns") - axis.first_ns) // width).alias("bin"), maintain_order=True)
        rows = binned.agg(pl.col("at_ns").first(), pl.col("level").max()).select("at_ns", "level").rows()
    if not rows:
        return "M0 0", "M0 0"
    begin = f"M{axis.x(rows[0][0]):.1f} {ground:.1f}"
    steps = "".join(f"H{axis.x(at):.1f}V{y(level):.1f}" for at, level in rows)
    end = f"H{axis.right:.1f}"
    return begin + steps + end, f"{begin}{steps}{end}V{ground:.1f}Z"


def _table(view: View) -> Element:
    rows: list[tuple[Child, ...]] = []
    found = pl.concat(list(snat_rows(view.analysis)))
    for row in found.head(_MOST_ROWS).iter_rows(named=True):
        used = ", ".join(f"{one['member']} {one['connections']:,}" for one in row["members"])
        rows.append(
            (
                f"{row['address']} ({row['member']})" if row["member"] else row["address"],
                row["destination"],
                row["protocol"],
                f"{row['ports_peak']:,} of {row['ports_available']:,}",
                row["ports_from"],
                element("span", f"{row['refused']:,}", class_="bad" if row["refused"] else None),
                f"{row['connections']:,}",
                f"{row['above_75_s']:.1f} s",
                "-" if row["sustainable_per_s"] is None else f"{row['sustainable_per_s']:,.2f}",
                used or "-",
            )
        )
    names = (
        "SNAT address", "Destination", "Protocol", "Ports at the peak", "Known from", "Got none", "Connections",
        "Above 75 %", "Sustainable per s", "Used most by",
    )  # fmt: skip
    more = found.height - _MOST_ROWS
    return element(
        "div",
        table("Use of SNAT ports", names, rows, frozenset({3, 5, 6, 7, 8})),
        element("p", f"And {more:,} more rows; `flowscope snat` lists them.") if more > 0 else None,
    )
