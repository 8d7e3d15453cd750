"""One finding as a block of text: what, how sure, the frames that prove it, what to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowscope.report.fact_text import fact_text
from flowscope.report.layout import columns, counted, labelled, paragraph, shortened
from flowscope.report.paint import Paint
from flowscope.report.safe_text import safe_line
from flowscope.report.times import clock

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.capture.file import Capture
    from flowscope.findings import Fact, Finding
    from flowscope.report.look import Look

_EVIDENCE_SHOWN = 6
_FILTER_SHOWN = 600
_MARGIN = 14


def capture_names(captures: Sequence[Capture]) -> tuple[str, dict[int, str]]:
    """Short names of captures, by id, and the folder that all of them lie in (empty when there is none to name)."""
    folders = {os.path.dirname(capture.path) for capture in captures}
    folder = folders.pop() if len(folders) == 1 else ""
    names = {one.id: safe_line(os.path.basename(one.path) if folder else one.path) for one in captures}
    names |= {one.id: "stdin" for one in captures if one.path == "-"}
    return safe_line(folder), names


class FindingBlocks:
    """Writes findings one after the other; advice that an earlier block gave is not given again.

    Args:
        analysis: names the captures of the evidence.
        look: how much to show, and how wide.
        paint: styles text.
    """

    def __init__(self, analysis: Analysis, look: Look, paint: Paint) -> None:
        self._names = capture_names(analysis.captures)[1]
        self._look, self._paint = look, paint
        self._told: dict[str, str] = {}

    def lines(self, finding: Finding) -> list[str]:
        """The block of one finding, without the blank lines around it."""
        look, paint = self._look, self._paint
        severity = finding.severity.value
        head = f"{finding.id:<4}{severity.upper()}"
        name = f"[{finding.rule}, {finding.verdict.value}]"
        lines = [f"{paint(head, severity)}  {paint(safe_line(finding.title), 'heading')}  {paint(name, 'faint')}"]
        lines += paragraph(finding.summary, 4, look.width)
        if finding.facts:
            lines += self._part("facts", ", ".join(_fact(key, value) for key, value in finding.facts.items()))
        lines += self._evidence(finding)
        lines += self._command("filter", finding.filter)
        if finding.filter and not finding.filter_complete:
            lines += self._part("", "(the filter is cut: it does not select every cited frame)")
        lines += self._advice("cause", (finding.cause,) if finding.cause else (), finding)
        lines += self._advice("remedy", finding.remedy, finding)
        lines += self._advice("caveat", finding.caveats, finding)
        if finding.folded:
            lines += self._part("explains", f"also {', '.join(finding.folded)}")
        return lines + self._command("next", finding.next_capture or "")

    def _evidence(self, finding: Finding) -> list[str]:
        shown = finding.evidence if self._look.verbose else finding.evidence[:_EVIDENCE_SHOWN]
        rows = [
            (
                shortened(self._names.get(item.capture, "?"), 30),
                f"frame {item.frame}",
                clock(item.time_ns, self._look.utc),
                safe_line(item.note),
            )
            for item in shown
        ]
        lines = [self._label("evidence" if at == 0 else "") + line for at, line in enumerate(columns(rows))]
        if len(shown) < len(finding.evidence):
            lines += self._part(
                "", f"... and {counted(len(finding.evidence) - len(shown), 'more frame')} (-v lists them)"
            )
        return lines

    def _advice(self, label: str, texts: Sequence[str], finding: Finding) -> list[str]:
        """Sentences that findings of one rule share: the first block has them, later ones point there."""
        fresh = [text for text in texts if text not in self._told]
        earlier = next((self._told[text] for text in texts if text in self._told), None)
        said = [*fresh, *([f"As for {earlier}."] if earlier else [])]
        self._told |= dict.fromkeys(fresh, finding.id)
        lines: list[str] = []
        for at, text in enumerate(said):
            lines += self._part(label if at == 0 else "", text, "- " if len(said) > 1 else "")
        return lines

    def _command(self, label: str, text: str) -> list[str]:
        """Something to copy: one line, however long, so that it can be pasted."""
        if not text:
            return []
        safe = safe_line(text)
        if len(safe) > _FILTER_SHOWN and not self._look.verbose:
            return self._part(label, f"{len(safe):,} characters (-v shows it)")
        return [self._label(label) + safe]

    def _part(self, label: str, text: str, bullet: str = "") -> list[str]:
        indent = _MARGIN + len(bullet)
        return labelled(self._label(label) + bullet, text, indent, self._look.width)

    def _label(self, label: str) -> str:
        return f"    {self._paint(label, 'label')}{' ' * (_MARGIN - 4 - len(label))}"


def _fact(key: str, value: Fact) -> str:
    words, text = fact_text(key, value)
    if isinstance(value, bool):
        return words if value else f"not {words}"
    return f"{words} {text}"
