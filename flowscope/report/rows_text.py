"""Flows, paths and use of SNAT ports as aligned text, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import polars as pl

from flowscope.report.look import Look
from flowscope.report.probes_text import render_probes
from flowscope.report.rows import What, row_slices
from flowscope.report.safe_text import safe_line
from flowscope.report.times import local_zone

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

_Layout = tuple[tuple[str, int, bool], ...]
# Name, width, whether numbers; a longer cell pushes its line to the right, and none is cut.
_FLOWS: _Layout = (
    ("id", 6, True),
    ("time", 15, False),
    ("point", 10, False),
    ("proto", 5, False),
    ("source", 21, False),
    ("destination", 21, False),
    ("state", 6, False),
    ("packets", 13, True),
    ("bytes", 17, True),
    ("history", 0, False),
)
_PATHS: _Layout = (
    ("id", 6, True),
    ("time", 15, False),
    ("proto", 5, False),
    ("client", 21, False),
    ("frontend", 21, False),
    ("snat", 21, False),
    ("backend", 21, False),
    ("outcome", 11, False),
    ("joined by", 0, False),
)
_SNAT: _Layout = (
    ("address", 15, False),
    ("destination", 21, False),
    ("proto", 5, False),
    ("peak/ports", 11, True),
    ("refused", 7, True),
    ("connections", 11, True),
    (">= 75 %", 9, True),
    ("= 100 %", 9, True),
    ("new/s", 8, True),
    ("needed", 6, True),
    ("ports from", 10, False),
    ("members", 0, False),
)


def render_rows(analysis: Analysis, what: What, out: BinaryIO, look: Look) -> None:
    """Writes one table as text; packets and bytes are those of both halves, ``fwd/rev``."""
    if what == "probes":
        render_probes(analysis, out, look)
        return
    cells, layout = {
        "flows": (_flow_cells, _FLOWS), "paths": (_path_cells, _PATHS), "snat": (_snat_cells, _SNAT)
    }[what]  # fmt: skip
    if what == "paths" and not analysis.paths["snat"].is_not_null().any():
        layout = tuple(column for column in layout if column[0] != "snat")
    out.write(
        "  ".join(name.rjust(width) if right else name.ljust(width) for name, width, right in layout).rstrip().encode()
        + b"\n"
    )
    for rows in row_slices(analysis, what):
        if not rows.height:
            continue
        table = cells(rows, look)
        padded = [
            pl.col(name).str.pad_start(width) if right else pl.col(name).str.pad_end(width)
            for name, width, right in layout
        ]
        line = pl.concat_str(padded, separator="  ").str.strip_chars_end()
        if what == "paths" and look.verbose:
            table = table.with_columns(_join_lines(rows))
            line = pl.concat_str(line, "detail", ignore_nulls=True)
        lines = table.select(line.str.join("\n"))
        out.write(f"{lines.item()}\n".encode())


def _flow_cells(rows: pl.DataFrame, look: Look) -> pl.DataFrame:
    def both(name: str) -> pl.Expr:
        return pl.concat_str(
            *(pl.col(half).struct.field(name).fill_null(0).cast(pl.String) for half in ("fwd", "rev")), separator="/"
        )

    names = {name: safe_line(name or "") for name in rows["point"].unique()}
    return rows.select(
        pl.col("id").cast(pl.String),
        _clock(look),
        pl.col("point").replace_strict(names, default="", return_dtype=pl.String),
        pl.col("protocol").alias("proto"),
        pl.col("src").alias("source"),
        pl.col("dst").alias("destination"),
        pl.col("state").fill_null("-"),
        both("packets").alias("packets"),
        both("bytes").alias("bytes"),
        pl.col("history").fill_null("-"),
    )


def _path_cells(rows: pl.DataFrame, look: Look) -> pl.DataFrame:
    confidence = (pl.col("confidence") * 100).round(1).cast(pl.String)
    sure = pl.when(pl.col("method") == "single").then(pl.lit("")).otherwise(pl.format(" {} %", confidence))
    return rows.select(
        pl.col("id").cast(pl.String),
        _clock(look),
        pl.col("protocol").alias("proto"),
        *(pl.col(role).fill_null("-") for role in ("client", "frontend", "snat", "backend")),
        "outcome",
        pl.concat_str("method", sure, pl.when("ambiguous").then(pl.lit(", ambiguous")).otherwise(pl.lit(""))).alias(
            "joined by"
        ),
    )


def _join_lines(rows: pl.DataFrame) -> pl.Series:
    """A second line, ``detail``, of paths with a join or a doubt: margin, next best leg, what the join rests on."""
    margin = pl.format("margin {} bits", pl.col("margin").round(1))
    rival = pl.format("runner-up {}", "runner_up").fill_null("no runner-up")
    rests = pl.when(pl.col("reasons").list.len() > 0).then(pl.col("reasons").list.join("; "))
    told = pl.concat_str(margin, rival, rests, separator=", ", ignore_nulls=True)
    several = (pl.col("method") != "single") | pl.col("ambiguous")
    return rows.select(detail=pl.when(several).then(pl.concat_str(pl.lit(f"\n{' ' * 8}"), told)))["detail"]


def _snat_cells(rows: pl.DataFrame, look: Look) -> pl.DataFrame:
    used = pl.element().struct
    members = pl.col("members").list.eval(pl.format("{} {}", used.field("member"), used.field("connections")))
    number = pl.format("{}/{}", "ports_peak", "ports_available")
    return rows.select(
        # Where each member has ports of its own, the row is one member's.
        pl.concat_str("address", pl.format(" ({})", "member").fill_null("")).alias("address"),
        "destination",
        pl.col("protocol").alias("proto"),
        number.alias("peak/ports"),
        *(pl.col(name).cast(pl.String) for name in ("refused", "connections")),
        *(
            pl.format("{} s", pl.col(f"above_{mark}_s").round(1)).alias(name)
            for mark, name in ((75, ">= 75 %"), (100, "= 100 %"))
        ),
        pl.col("sustainable_per_s").round(1).cast(pl.String).fill_null("-").alias("new/s"),
        pl.col("ports_needed").cast(pl.String).fill_null("-").alias("needed"),
        pl.col("ports_from").alias("ports from"),
        members.list.join(", ").alias("members"),
    )


def _clock(look: Look) -> pl.Expr:
    """The time of day of the first packet, in microseconds."""
    moment = pl.col("first").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ns", time_zone="UTC")
    if not look.utc:
        moment = moment.dt.convert_time_zone(local_zone())
    return moment.dt.strftime("%H:%M:%S%.6f").alias("time")
