"""One finding as a block of text: what, how sure, the frames that prove it, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowscope.report.layout import columns, labelled, paragraph, shortened
from flowscope.report.paint import Paint
from flowscope.report.safe_text import safe_line
from flowscope.report.times import clock

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.findings import Fact, Finding
    from flowscope.report.look import Look

_EVIDENCE_SHOWN = 6
_FILTER_SHOWN = 400
_MARGIN = 14


def finding_lines(finding: Finding, analysis: Analysis, look: Look, paint: Paint) -> list[str]:
    """The block of one finding, without the blank lines around it."""
    severity = finding.severity.value
    head = f"{finding.id:<4}{severity.upper()}"
    name = f"[{finding.rule}, {finding.verdict.value}]"
    lines = [f"{paint(head, severity)}  {paint(safe_line(finding.title), 'heading')}  {paint(name, 'faint')}"]
    lines += paragraph(finding.summary, 4, look.width)
    if finding.facts:
        lines += _part("facts", ", ".join(_fact(key, value) for key, value in finding.facts.items()), look, paint)
    lines += _evidence(finding, analysis, look, paint)
    lines += _command("filter", finding.filter, look, paint)
    if finding.filter and not finding.filter_complete:
        lines += _part("", "(the filter is cut: it does not select every cited frame)", look, paint)
    if finding.cause:
        lines += _part("cause", finding.cause, look, paint)
    for at, remedy in enumerate(finding.remedy):
        lines += _part("remedy" if at == 0 else "", remedy if len(finding.remedy) == 1 else f"- {remedy}", look, paint)
    for at, caveat in enumerate(finding.caveats):
        lines += _part("caveat" if at == 0 else "", caveat, look, paint)
    if finding.folded:
        lines += _part("explains", f"also {', '.join(finding.folded)}", look, paint)
    if finding.next_capture:
        lines += _command("next", finding.next_capture, look, paint)
    return lines


def _evidence(finding: Finding, analysis: Analysis, look: Look, paint: Paint) -> list[str]:
    paths = {capture.id: capture.path for capture in analysis.captures}
    shown = finding.evidence if look.verbose else finding.evidence[:_EVIDENCE_SHOWN]
    rows = [
        (
            shortened(safe_line(paths.get(item.capture, "?")), 36),
            f"frame {item.frame}",
            clock(item.time_ns, look.utc),
            safe_line(item.note),
        )
        for item in shown
    ]
    lines = [
        f"{_label('evidence' if at == 0 else '', paint)}{line}" for at, line in enumerate(columns(rows, frozenset({})))
    ]
    if len(shown) < len(finding.evidence):
        more = len(finding.evidence) - len(shown)
        lines += _part("", f"... and {more} more frame{'s' * (more != 1)} (-v lists them)", look, paint)
    return lines


def _part(label: str, text: str, look: Look, paint: Paint) -> list[str]:
    return labelled(_label(label, paint), text, _MARGIN, look.width)


def _command(label: str, text: str, look: Look, paint: Paint) -> list[str]:
    """Something to copy: one line, however long, so that it can be pasted."""
    if not text:
        return []
    safe = safe_line(text)
    if len(safe) > _FILTER_SHOWN and not look.verbose:
        return _part(label, f"{len(safe):,} characters, see --format json or -v", look, paint)
    return [f"{_label(label, paint)}{safe}"]


def _label(label: str, paint: Paint) -> str:
    return f"    {paint(label, 'label')}{' ' * (_MARGIN - 4 - len(label))}"


def _fact(key: str, value: Fact) -> str:
    words = key.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"not {words}"
    if isinstance(value, float):
        return f"{words} {value:.0%}" if key.endswith(("_rate", "_share")) else f"{words} {value:.4g}"
    return f"{words} {value}"
