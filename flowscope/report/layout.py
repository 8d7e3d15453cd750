"""Paragraphs and aligned columns of plain text."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

from flowscope.report.safe_text import safe_line

#: Columns that a text keeps beside its margin, however narrow the terminal.
_NARROWEST = 24


def paragraph(text: str, indent: int, width: int) -> list[str]:
    """Text wrapped to a width, every line indented; words longer than a line are not broken."""
    room = max(width - indent, _NARROWEST)
    lines = textwrap.wrap(safe_line(text), room, break_long_words=False, break_on_hyphens=False)
    return [" " * indent + line for line in lines]


def labelled(label: str, text: str, indent: int, width: int) -> list[str]:
    """A wrapped paragraph whose first line begins with a label in the margin.

    Args:
        label: at most ``indent`` columns with its own indentation; the caller paints it.
        text: the paragraph.
        indent: columns before the text.
        width: columns of a line.
    """
    lines = paragraph(text, indent, width)
    return [label + line[indent:] if at == 0 else line for at, line in enumerate(lines)]


def columns(rows: Iterable[Sequence[str]], right: frozenset[int] = frozenset(), gap: str = "  ") -> list[str]:
    """Rows of cells as aligned lines.

    Args:
        rows: cells, already safe to show.
        right: numbers of the columns that are aligned to the right.
        gap: what stands between columns.
    """
    table = [list(row) for row in rows]
    if not table:
        return []
    widths = [max(display_width(row[at]) for row in table) for at in range(len(table[0]))]
    lines = []
    for row in table:
        cells = []
        for at, cell in enumerate(row):
            padding = " " * (widths[at] - display_width(cell))
            cells.append(padding + cell if at in right else cell + padding)
        lines.append(gap.join(cells).rstrip())
    return lines


def display_width(text: str) -> int:
    """Columns a text takes on a terminal: wide East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def shortened(text: str, limit: int) -> str:
    """Text cut in its middle, where names differ least."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 flow``, ``2,000 flows``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
