"""What people and programs read: one module per format, each with ``render`` for the whole report or ``render_rows``.

``render(analysis, out, look)`` writes everything; ``render_rows(analysis, what, out, look)`` writes one table. Both
write UTF-8 bytes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.report.look import Look
    from flowscope.report.rows import What

REPORTS = {
    "text": "flowscope.report.text",
    "json": "flowscope.report.json",
    "jsonl": "flowscope.report.jsonl",
    "markdown": "flowscope.report.markdown",
}
"""Formats of the whole report, and the module that renders each."""

ROWS = {
    "text": "flowscope.report.rows_text",
    "csv": "flowscope.report.csv",
    "jsonl": "flowscope.report.jsonl",
    "json": "flowscope.report.json",
    "parquet": "flowscope.report.parquet",
    "zeek": "flowscope.report.zeek",
}
"""Formats of one table."""


def render(analysis: Analysis, format: str, out: BinaryIO, look: Look) -> None:
    """Writes the whole report in one of the formats of ``REPORTS``."""
    import_module(REPORTS[format]).render(analysis, out, look)


def render_rows(analysis: Analysis, what: What, format: str, out: BinaryIO, look: Look) -> None:
    """Writes one table in one of the formats of ``ROWS``."""
    import_module(ROWS[format]).render_rows(analysis, what, out, look)
