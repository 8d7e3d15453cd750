"""What a notebook shows of an analysis or a finding: plain tables, since a notebook brings its own style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from flowscope.report.html.summary import MARKS
from flowscope.report.layout import counted
from flowscope.report.markup import Child, Element, element, linked
from flowscope.report.times import rfc3339_text

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.findings import Finding

_FRAMES = 8
_FINDINGS = 50


def analysis_fragment(analysis: Analysis) -> str:
    """What was read, how the paths ended, and the findings, one line each."""
    counts = dict(analysis.paths["outcome"].value_counts().iter_rows()) if analysis.paths.height else {}
    ended = ", ".join(
        f"{number:,} {outcome}" for outcome, number in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    )
    read = (
        counted(len(analysis.captures), "capture"),
        counted(sum(capture.frames for capture in analysis.captures), "frame"),
        counted(analysis.flows.height, "flow"),
        counted(analysis.paths.height, "path"),
    )
    rows = [
        (
            one.id,
            f"{MARKS[one.severity]} {one.severity.value}",
            one.verdict.value,
            one.rule,
            one.title,
            f"{one.count:,}",
        )
        for one in analysis.findings[:_FINDINGS]
    ]
    more = len(analysis.findings) - len(rows)
    return _text(
        element("p", element("b", "flowscope"), f" {', '.join(read)}", f"; paths: {ended}" if ended else ""),
        _table(("", "severity", "verdict", "rule", "what", "explains"), rows) if rows else element("p", "No findings."),
        element("p", f"and {more} more in `.findings`") if more > 0 else None,
    )


def finding_fragment(finding: Finding) -> str:
    """What, why, the frames that prove it, what to do."""
    frames = [
        (str(one.capture), str(one.frame), rfc3339_text(one.time_ns) or "", one.note)
        for one in finding.evidence[:_FRAMES]
    ]
    more = len(finding.evidence) - len(frames)
    return _text(
        element(
            "p",
            element("b", f"{finding.id} {MARKS[finding.severity]} {finding.severity.value}: {finding.title}"),
            f" ({finding.rule}, {finding.verdict.value})",
        ),
        element("p", finding.summary),
        element("p", element("b", "Why: "), *linked(finding.cause)) if finding.cause else None,
        _table(("capture", "frame", "time", "shows"), frames),
        element("p", f"and {more} more frames in `.evidence`") if more > 0 else None,
        element("p", element("code", finding.filter)) if finding.filter else None,
        element("ul", *(element("li", *linked(one)) for one in finding.remedy)) if finding.remedy else None,
        element("p", element("b", "Next: "), element("code", finding.next_capture)) if finding.next_capture else None,
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Element:
    head = element("tr", *(element("th", name) for name in names))
    return element("table", head, *(element("tr", *(element("td", cell) for cell in row)) for row in rows))


def _text(*parts: Child) -> str:
    return ElementTree.tostring(element("div", *parts), encoding="unicode", method="html")
