"""The top of the page: what was read, how the paths ended, and every finding in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from flowscope.findings import Severity, Verdict
from flowscope.report.layout import counted
from flowscope.report.markup import Element, element
from flowscope.report.times import clock, day, span

if TYPE_CHECKING:
    from flowscope.findings import Finding
    from flowscope.report.html.view import View

#: Outcomes from good to bad, as the bar shows them.
OUTCOMES = (
    "established", "idle-closed", "unknown", "reset", "half-open", "refused", "rejected", "unanswered",
)  # fmt: skip
MARKS = {Severity.ERROR: "✖", Severity.WARNING: "▲", Severity.INFO: "●"}
"""Severities by shape, for readers who do not see their colours."""


def title(view: View) -> str:
    """One line that says what the report says."""
    bad = [one for one in view.analysis.findings if one.severity is not Severity.INFO]
    decided = [one for one in bad if one.verdict is not Verdict.UNDECIDED]
    if decided:
        more = f", and {counted(len(decided) - 1, 'other finding')}" if len(decided) > 1 else ""
        return f"{decided[0].title}{more}"
    if bad:
        return f"Nothing is proven to be wrong; {counted(len(bad), 'suspicion')} could not be decided"
    if not view.analysis.paths.height:
        return "No connection was seen"
    return "Nothing wrong was found"


def section(view: View) -> Element:
    """The summary."""
    analysis = view.analysis
    totals = (
        counted(len(analysis.captures), "capture"),
        counted(len(analysis.points), "point"),
        counted(sum(capture.frames for capture in analysis.captures), "frame"),
        counted(analysis.flows.height, "flow"),
        counted(analysis.paths.height, "path"),
    )
    made = element(
        "section",
        element("h1", title(view)),
        element("p", _when(view), class_="when"),
        element("ul", *(element("li", one) for one in totals), class_="totals"),
        outcome_bar(view.analysis.paths),
        _findings(view),
        _problems(view),
        id="summary",
        aria_label="Summary",
    )
    made.set("data-short", "Summary")
    return made


def badge(finding: Finding) -> Element:
    """Severity and verdict of a finding."""
    mark = element("span", MARKS[finding.severity], aria_hidden="true")
    return element(
        "span",
        mark,
        f" {finding.severity.value}",
        element("span", finding.verdict.value, class_="verdict"),
        class_=f"badge {finding.severity.value} {finding.verdict.value}",
    )


def outcome_bar(paths: pl.DataFrame) -> Element | None:
    """How the paths ended, as a bar with its legend; each part also has a pattern, and its number in words."""
    counts: dict[str, int] = dict(paths["outcome"].value_counts().iter_rows()) if paths.height else {}
    if not counts:
        return None
    known = [one for one in OUTCOMES if one in counts] + sorted(set(counts) - set(OUTCOMES))
    total, at = paths.height, 0.0
    parts, legend = [], []
    for outcome in known:
        width = counts[outcome] * 1000 / total
        parts.append(
            element(
                "rect", x=at, y=0, width=max(width, 2.0), height=22, class_=f"outcome {outcome}", rx=2,
            )
        )  # fmt: skip
        swatch = element(
            "svg", element("rect", width=14, height=14, class_=f"outcome {outcome}"), width=14, height=14,
            aria_hidden="true",
        )  # fmt: skip
        legend.append(element("li", swatch, f" {counts[outcome]:,} {outcome}", element("small", f" {_share(width)}")))
        at += width
    words = ", ".join(f"{counts[one]:,} {one}" for one in known)
    bar = element(
        "svg", element("title", f"How the paths ended: {words}"), *parts,
        viewBox="0 0 1000 22", preserveAspectRatio="none", role="img", class_="bar",
    )  # fmt: skip
    return element("figure", bar, element("ul", *legend, class_="legend"), class_="outcomes")


def _share(permille: float) -> str:
    return "< 1 %" if 0 < permille < 10 else f"{permille / 10:.0f} %"


def _when(view: View) -> str:
    if view.span_ns is None:
        return "No frame was read."
    first, last = view.span_ns
    until = clock(last, True, 3)
    if day(first, True) != day(last, True):
        until = f"{day(last, True)} {until}"
    return f"{day(first, True)} {clock(first, True, 3)} to {until} UTC ({span(last - first)})"


def _findings(view: View) -> Element:
    findings = view.analysis.findings
    if not findings:
        judged = ", ".join(view.analysis.judged) or "nothing"
        return element("p", f"No rule found anything. Looked for: {judged}.", class_="none")
    rows = [
        element(
            "tr",
            element("td", element("a", one.id, href=f"#{one.id}")),
            element("td", badge(one)),
            element("td", element("a", one.title, href=f"#{one.id}")),
            element("td", one.rule, class_="rule"),
            element("td", f"{one.count:,}", class_="number"),
        )
        for one in findings
    ]
    head = element(
        "tr",
        *(element("th", name, scope="col") for name in ("Id", "How bad, how sure", "What", "Rule")),
        element("th", "Explains", scope="col", class_="number"),
    )
    return element(
        "div",
        element(
            "table", element("caption", "Findings", class_="unseen"), element("thead", head), element("tbody", *rows),
            class_="brief",
        ),
        class_="scroll", role="region", aria_label="Findings, one line each", tabindex=0,
    )  # fmt: skip


def _problems(view: View) -> Element | None:
    if not view.analysis.problems:
        return None
    return element(
        "div",
        element("h3", "What could not be judged, or contradicts the topology"),
        element("ul", *(element("li", one) for one in view.analysis.problems)),
        class_="problems",
    )
