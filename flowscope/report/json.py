"""The JSON report: one document, written as a stream.

Flows and paths are written by Polars, slice by slice; only the few captures, points and findings are Python objects.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from flowscope.report import document
from flowscope.report.look import Look
from flowscope.report.pool_rows import pool_objects
from flowscope.report.rows import What, row_slices

if TYPE_CHECKING:
    from flowscope.analysis import Analysis


def render(analysis: Analysis, out: BinaryIO, look: Look) -> None:
    """Writes the report of the contract (``flowscope-report/1``); brief leaves out flows and paths."""
    _open(analysis, out)
    if not look.brief:
        for what in ("flows", "paths"):
            _key(out, what)
            _rows(row_slices(analysis, "flows" if what == "flows" else "paths"), out)
    _key(out, "probes")
    _rows(row_slices(analysis, "probes"), out)
    _key(out, "pools", pool_objects(analysis))
    _key(out, "snat")
    _rows(row_slices(analysis, "snat"), out)
    _key(out, "findings", document.findings(analysis))
    _key(out, "problems", list(analysis.problems))
    out.write(b"\n}\n")


def render_rows(analysis: Analysis, what: What, out: BinaryIO, look: Look) -> None:
    """Writes a report that holds one table beside its captures and points."""
    _open(analysis, out)
    _key(out, what)
    _rows(row_slices(analysis, what), out)
    if what == "probes":
        _key(out, "pools", pool_objects(analysis))
    out.write(b"\n}\n")


def lines(rows: pl.DataFrame) -> bytes:
    """Rows as JSON objects, one per line."""
    buffer = io.BytesIO()
    rows.write_ndjson(buffer)
    return buffer.getvalue()


def _open(analysis: Analysis, out: BinaryIO) -> None:
    head = document.head()
    out.write(b'{\n"schema": ' + encoded(head["schema"]))
    _key(out, "version", head["version"])
    profile = document.profile(analysis)
    if profile is not None:
        _key(out, "profile", profile)
    given = document.given(analysis)
    if given:
        _key(out, "given", given)
    _key(out, "captures", document.captures(analysis))
    _key(out, "points", document.points(analysis))


def _key(out: BinaryIO, name: str, *value: object) -> None:
    """The next key of the document, with its value unless that is written afterwards."""
    out.write(b",\n" + encoded(name) + b": ")
    for one in value:
        if isinstance(one, list) and one:
            out.write(b"[\n" + b",\n".join(encoded(item) for item in one) + b"\n]")
        else:
            out.write(encoded(one))


def _rows(slices: Iterable[pl.DataFrame], out: BinaryIO) -> None:
    out.write(b"[")
    first = True
    for rows in slices:
        if rows.height == 0:
            continue
        out.write(b"\n" if first else b",\n")
        # Line breaks inside of texts are escaped, so these are the ends of the rows.
        out.write(lines(rows)[:-1].replace(b"\n", b",\n"))
        first = False
    out.write(b"]" if first else b"\n]")


def encoded(value: Any) -> bytes:
    """One value as JSON in UTF-8, on one line."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False).encode()
