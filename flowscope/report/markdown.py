"""A summary for a ticket, as Markdown: what is wrong, how sure, the frames that show it, what to do.

Text from packets and files is escaped or stands in code: it brings no markup of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from flowscope.findings import Finding, Severity, Verdict
from flowscope.report.finding_text import capture_names
from flowscope.report.layout import counted
from flowscope.report.look import Look
from flowscope.report.safe_text import markdown_text, safe_line
from flowscope.report.times import clock, day, span, zone

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

_EVIDENCE_SHOWN = 6


def render(analysis: Analysis, out: BinaryIO, look: Look) -> None:
    """Writes the summary; brief leaves the evidence out, verbose shows all of it."""
    lines = [*_head(analysis, look), *_overview(analysis)]
    for finding in analysis.findings:
        lines += ["", *_finding(analysis, finding, look)]
    if analysis.problems:
        lines += ["", "## What could not be judged", "", *(f"- {markdown_text(one)}" for one in analysis.problems)]
    out.write("\n".join([*lines, ""]).encode("utf-8", "replace"))


def _head(analysis: Analysis, look: Look) -> list[str]:
    decided = [one for one in analysis.findings if one.verdict is not Verdict.UNDECIDED]
    bad = [one for one in decided if one.severity is not Severity.INFO]
    doubts = len(analysis.findings) - len(decided)
    fine = f"nothing was proven, {counted(doubts, 'finding')} undecided" if doubts else "nothing wrong was found"
    title = markdown_text(bad[0].title) if len(bad) == 1 else counted(len(bad), "fault") if bad else fine
    lines = [f"# flowscope: {title}", ""]
    frames = counted(sum(one.frames for one in analysis.captures), "frame")
    total = [counted(len(analysis.captures), "capture"), counted(len(analysis.points), "point"), frames]
    times = [time for one in analysis.captures for time in (one.first_ns, one.last_ns) if time is not None]
    if times:
        first, last = min(times), max(times)
        total.append(
            f"{day(first, look.utc)} {clock(first, look.utc, 3)} {zone(first, look.utc)} ({span(last - first)})"
        )
    counts = dict(analysis.paths["outcome"].value_counts(sort=True).iter_rows()) if analysis.paths.height else {}
    paths = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(counts.items(), key=lambda one: -one[1]))
    lines.append(f"{', '.join(total)}; {counted(analysis.paths.height, 'path')}{f' ({paths})' if paths else ''}.")
    return lines


def _overview(analysis: Analysis) -> list[str]:
    if not analysis.findings:
        return ["", f"Looked for: {', '.join(analysis.judged)}."] if analysis.judged else []
    lines = ["", "| | finding | severity | verdict | count |", "|---|---|---|---|---:|"]
    for one in analysis.findings:
        lines.append(f"| {one.id} | {markdown_text(one.title)} | {one.severity} | {one.verdict} | {one.count:,} |")
    return lines


def _finding(analysis: Analysis, finding: Finding, look: Look) -> list[str]:
    sure = f"`{finding.rule}`, {finding.severity}, {finding.verdict}"
    lines = [f"## {finding.id} {markdown_text(finding.title)}", "", f"{sure}. {markdown_text(finding.summary)}"]
    if finding.cause:
        lines += ["", f"**Cause:** {markdown_text(finding.cause)}"]
    for label, texts in (("Remedy", finding.remedy), ("Caveats", finding.caveats)):
        if texts:
            lines += ["", f"**{label}**", "", *(f"- {markdown_text(one)}" for one in texts)]
    if not look.brief:
        lines += _evidence(analysis, finding, look)
    for label, command in (("Wireshark filter", finding.filter), ("Capture next", finding.next_capture)):
        if command:
            lines += ["", f"**{label}**", "", *_code(command)]
    return lines


def _evidence(analysis: Analysis, finding: Finding, look: Look) -> list[str]:
    names = capture_names(analysis.captures)[1]
    shown = finding.evidence if look.verbose else finding.evidence[:_EVIDENCE_SHOWN]
    lines = ["", "| capture | frame | time | what it shows |", "|---|---:|---|---|"] if shown else []
    for item in shown:
        name = markdown_text(names.get(item.capture, "?"))
        lines.append(f"| {name} | {item.frame} | {clock(item.time_ns, look.utc)} | {markdown_text(item.note)} |")
    if len(shown) < len(finding.evidence):
        lines += ["", f"... and {counted(len(finding.evidence) - len(shown), 'more frame')}."]
    return lines


def _code(text: str) -> list[str]:
    """A block to copy from; its fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, safe_line(text), fence]
