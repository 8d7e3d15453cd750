"""One JSON object per line, each with a ``type``: issue, finding, flow, path, and stats at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from flowscope.report import document
from flowscope.report.json import encoded, lines
from flowscope.report.look import Look
from flowscope.report.rows import What, row_slices

if TYPE_CHECKING:
    from flowscope.analysis import Analysis


def render(analysis: Analysis, out: BinaryIO, look: Look) -> None:
    """Writes the issues and findings, then flows and paths unless it is to be brief, then the totals."""
    for capture in document.captures(analysis):
        for issue in capture["issues"]:
            _line(out, "issue", {"capture": capture["id"], **issue})
    for finding in document.findings(analysis):
        _line(out, "finding", finding)
    if not look.brief:
        render_rows(analysis, "flows", out, look)
        render_rows(analysis, "paths", out, look)
    render_rows(analysis, "probes", out, look)
    _line(out, "stats", _stats(analysis))


def render_rows(analysis: Analysis, what: What, out: BinaryIO, look: Look) -> None:
    """Writes one table, a row per line."""
    for rows in row_slices(analysis, what):
        if rows.height:
            out.write(lines(rows.select(pl.lit(what.removesuffix("s")).alias("type"), pl.all())))
            out.flush()


def _line(out: BinaryIO, kind: str, content: dict[str, Any]) -> None:
    out.write(encoded({"type": kind, **content}) + b"\n")
    out.flush()


def _stats(analysis: Analysis) -> dict[str, Any]:
    return {
        **document.head(),
        "captures": len(analysis.captures),
        "points": len(analysis.points),
        "frames": sum(capture.frames for capture in analysis.captures),
        "bytes": sum(capture.bytes for capture in analysis.captures),
        "flows": analysis.flows.height,
        "paths": analysis.paths.height,
        "findings": len(analysis.findings),
        "problems": list(analysis.problems),
    }
