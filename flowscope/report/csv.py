"""Tables for spreadsheets: one line per row, halves and legs spread over plain columns, no cell a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import polars as pl

from flowscope.report.look import Look
from flowscope.report.rows import What, row_slices
from flowscope.report.safe_text import FORMULA, safe_cell

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

_UNSEEN = r"[^\P{Cc}\t\n\r]|[\p{Cf}\p{Zl}\p{Zp}]"


def render_rows(analysis: Analysis, what: What, out: BinaryIO, look: Look) -> None:
    """Writes one table as CSV with a header: ``fwd_packets`` for ``fwd.packets``, lists joined by ``; ``."""
    header = True
    for rows in row_slices(analysis, what):
        out.write(_guarded(_flat(rows)).write_csv(include_header=header).encode())
        header = False


def _flat(rows: pl.DataFrame) -> pl.DataFrame:
    if "timeline" in rows.columns:
        change = pl.element().struct
        told = pl.format("{} {} ({})", change.field("time"), change.field("state"), change.field("reason"))
        doubt = pl.format(" [{} to {}]", change.field("earliest"), change.field("latest")).fill_null("")
        return rows.with_columns(
            pl.col("timeline").list.eval(pl.concat_str(told, doubt)).list.join("; "),
            pl.col("pools").list.join(" "),
            pl.col("notes").list.join("; "),
        )
    if "legs" in rows.columns:
        leg = pl.element().struct
        return rows.with_columns(
            pl.col("legs").list.eval(pl.format("{} > {}", leg.field("src"), leg.field("dst"))).list.join("; "),
            pl.col("legs")
            .list.eval(leg.field("flows").list.eval(pl.element().cast(pl.String)).list.join(" "))
            .list.join("; ")
            .alias("flows"),
            pl.col("reasons").list.join("; "),
        )
    if "members" in rows.columns:
        used = pl.element().struct
        listed = pl.format("{} {}", used.field("member"), used.field("connections"))
        return rows.with_columns(pl.col("members").list.eval(listed).list.join("; "))
    halves = [
        pl.col(half).struct.field(field.name).alias(f"{half}_{field.name}")
        for half in ("fwd", "rev")
        for field in _fields(rows, half)
    ]
    return rows.with_columns(halves).drop("fwd", "rev")


def _fields(rows: pl.DataFrame, column: str) -> list[pl.Field]:
    kind = rows.schema[column]
    assert isinstance(kind, pl.Struct)
    return kind.fields


def _guarded(rows: pl.DataFrame) -> pl.DataFrame:
    """Text that a spreadsheet would run gets an apostrophe in front; what would move a terminal's cursor is escaped."""
    texts = [name for name, kind in rows.schema.items() if kind == pl.String]
    # Names of points and hosts only: looked for first, since rows are many and such names are none.
    unsafe = [name for name in texts if rows[name].str.contains(_UNSEEN).any()]
    rows = rows.with_columns(pl.col(name).map_elements(safe_cell, return_dtype=pl.String) for name in unsafe)
    return rows.with_columns(
        pl.when(pl.col(name).str.contains(FORMULA)).then(pl.concat_str(pl.lit("'"), name)).otherwise(name).alias(name)
        for name in texts
    )
