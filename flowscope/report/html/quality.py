"""How good the captures are: what was read of each, what was lost or cut, and how the clocks were corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from flowscope.capture.link_types import link_type_name
from flowscope.nat.places import places
from flowscope.report.html.page import section as part
from flowscope.report.markup import Child, Element, element
from flowscope.report.times import span

if TYPE_CHECKING:
    from flowscope.report.html.view import View

_ISSUES = 50


def section(view: View) -> Element:
    """Capture quality, clocks and places."""
    return part(
        "quality",
        "Captures and clocks",
        element("h3", "What was read"),
        _captures(view),
        _issues(view),
        element("h3", "Where the points stand, and how their clocks were corrected"),
        element(
            "p",
            "Handshakes that two points saw bound the difference of their clocks from both sides. Times in ladders and "
            "tables of paths are on the clock of the reference point (the one without error); evidence keeps the time "
            "of its own capture.",
        ),
        _points(view),
        short="Captures",
    )


def table(caption: str, names: tuple[str, ...], rows: list[tuple[Child, ...]], numbers: frozenset[int]) -> Element:
    """A plain table with a caption that only screen readers hear.

    Args:
        caption: what the rows are.
        names: of the columns.
        rows: cells, text or elements.
        numbers: columns that are aligned as numbers.
    """

    def cell(tag: str, at: int, content: Child, **more: str) -> Element:
        return element(tag, content, class_="number" if at in numbers else None, **more)

    head = element("tr", *(cell("th", at, name, scope="col") for at, name in enumerate(names)))
    body = [element("tr", *(cell("td", at, one) for at, one in enumerate(row))) for row in rows]
    made = element(
        "table", element("caption", caption, class_="unseen"), element("thead", head), element("tbody", *body)
    )
    return element("div", made, class_="scroll", role="region", aria_label=caption, tabindex=0)


def _captures(view: View) -> Element:
    rows: list[tuple[Child, ...]] = []
    for one in view.analysis.captures:
        lasted = None if one.first_ns is None or one.last_ns is None else one.last_ns - one.first_ns
        kind = " + ".join(filter(None, (one.format, one.compression))) or "not read"
        rows.append(
            (
                view.captures[one.id],
                kind,
                ", ".join(link_type_name(number) for number in one.link_types),
                f"{one.frames:,}",
                f"{one.bytes:,}",
                "-" if one.first_ns is None else view.moment(one.first_ns),
                "-" if lasted is None else span(lasted),
                element("code", one.sha256) if one.sha256 else "-",
            )
        )
    names = ("Capture", "Format", "Link layer", "Frames", "Bytes", "First frame (UTC)", "Lasts", "SHA-256")
    return table("Captures", names, rows, frozenset({3, 4}))


def _issues(view: View) -> Element | None:
    rows: list[tuple[Child, ...]] = [
        (
            view.captures[capture.id],
            str(issue["frame"] or "-"),
            issue["kind"],
            issue["detail"],
            f"{issue['count']:,}",
        )
        for capture in view.analysis.captures
        for issue in capture.issues
    ]
    if not rows:
        return element("p", "Every record could be read.")
    names = ("Capture", "Frame", "Kind", "What", "Times")
    more = len(rows) - _ISSUES
    return element(
        "div",
        element("h3", "What could not be read"),
        table("What could not be read", names, rows[:_ISSUES], frozenset({1, 4})),
        element("p", f"And {more:,} more rows like these; the JSON report lists them.") if more > 0 else None,
    )


def _points(view: View) -> Element:
    analysis = view.analysis
    counts = analysis.flows.group_by("point").agg(
        pl.len(),
        (pl.col("fwd_packets") + pl.col("rev_packets")).sum().alias("packets"),
        pl.col("truncated").sum(),
        (pl.col("fwd_acked_unseen") + pl.col("rev_acked_unseen")).sum().alias("unseen"),
        pl.sum_horizontal("fwd_retransmissions", "rev_retransmissions").sum().alias("again"),
    )
    by_point = {row["point"]: row for row in counts.iter_rows(named=True)}
    stand = places(analysis.flows, analysis.points, analysis.addresses, analysis.topology)
    rows: list[tuple[Child, ...]] = []
    for point in analysis.points:
        seen = by_point.get(point.number, {})
        place = stand.get(point.number)
        hosts = ", ".join(sorted(view.host(number) for number in place.hosts)) if place else ""
        where = point.node or (hosts and (hosts if place and place.sure else f"at or next to {hosts}")) or "not known"
        offset = point.clock_offset_ns
        rows.append(
            (
                point.name,
                where,
                f"{seen.get('len', 0):,}",
                f"{seen.get('packets', 0):,}",
                f"{seen.get('unseen', 0):,}",
                f"{seen.get('truncated', 0):,}",
                f"{seen.get('again', 0):,}",
                "none" if not offset else f"{'+' if offset > 0 else '-'}{span(abs(offset))}",
                "not known" if point.clock_error_ns is None else f"± {span(point.clock_error_ns)}",
                f"{point.clock_skew_ppm:g} ppm",
            )
        )
    names = (
        "Point", "Stands at", "Flows", "Packets", "Acknowledged, never captured", "Cut by snap length",
        "Retransmissions", "Clock corrected by", "Error", "Skew",
    )  # fmt: skip
    return table("Points", names, rows, frozenset(range(2, 10)))
