"""Use of SNAT ports as the report's objects: one row per SNAT address, protocol and destination (and member)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from flowscope.snat.allocation import address_text
from flowscope.snat.sweep import MARKS
from flowscope.snat.usage import PortUse, port_use

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

    from flowscope.analysis import Analysis

_TCP = 6
_SCHEMA: dict[str, PolarsDataType] = {
    "address": pl.String,
    "destination": pl.String,
    "protocol": pl.String,
    "member": pl.String,
    "ports_available": pl.UInt32,
    "ports_from": pl.String,
    "ports_peak": pl.UInt32,
    "peak_at": pl.String,
    "connections": pl.UInt32,
    "refused": pl.UInt32,
    "above_50_s": pl.Float64,
    "above_75_s": pl.Float64,
    "above_90_s": pl.Float64,
    "above_100_s": pl.Float64,
    "hold_s": pl.Float64,
    "sustainable_per_s": pl.Float64,
    "ports_needed": pl.UInt32,
    "both_sides": pl.Boolean,
    "members": pl.List(pl.Struct({"member": pl.String, "connections": pl.UInt32})),
}


def snat_rows(analysis: Analysis) -> Iterator[pl.DataFrame]:
    """The pools, fullest first; ``ports_from`` is ``topology``, ``profile`` or ``observed``."""
    use = port_use(analysis)
    yield _rows(analysis, use) if use.pools.height else pl.DataFrame(schema=_SCHEMA)


def _rows(analysis: Analysis, use: PortUse) -> pl.DataFrame:
    pools = use.pools.sort(
        pl.col("refused"),
        pl.col("peak") / pl.col("ports_available"),
        "peak",
        "pool",
        descending=[True, True, True, False],
    )
    texts = analysis.addresses.sort("address")["text"]
    snats = {snat: address_text(analysis.topology, analysis.addresses, snat) for snat in pools["snat"].unique()}
    pools = pools.with_columns(host=texts.gather(pools["destination"]), whose=texts.gather(pools["member"]))
    six = pl.col("host").str.contains(":", literal=True)
    port = pl.col("destination_port")
    end = pl.when(port.is_null()).then("host").when(six).then(pl.format("[{}]:{}", "host", port))
    peak = pl.from_epoch("peak_ns", time_unit="ns").dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ")
    rows = pools.select(
        "pool",
        address=pl.col("snat").replace_strict(snats, return_dtype=pl.String),
        destination=end.otherwise(pl.format("{}:{}", "host", port)),
        protocol=pl.when(pl.col("protocol") == _TCP).then(pl.lit("tcp")).otherwise(pl.lit("udp")),
        member="whose",
        ports_available="ports_available",
        ports_from="ports_from",
        ports_peak="peak",
        peak_at=peak,
        connections="connections",
        refused="refused",
        **{f"above_{mark}_s": pl.col(f"above_{mark}_s").round(6) for mark in MARKS},
        hold_s="fin_hold_s",
        sustainable_per_s="sustainable_per_s",
        ports_needed="ports_needed",
        both_sides="both",
    )
    rows = rows.join(_members(pools, texts), "pool", how="left", maintain_order="left")
    empty = pl.lit([], dtype=_SCHEMA["members"])
    return rows.with_columns(pl.col("members").fill_null(empty)).select(
        pl.col(name).cast(kind) for name, kind in _SCHEMA.items()
    )


def _members(pools: pl.DataFrame, texts: pl.Series) -> pl.DataFrame:
    listed = pools.select("pool", "top").explode("top").drop_nulls().unnest("top")
    return (
        listed.with_columns(member=texts.gather(listed["inside"]))
        .group_by("pool", maintain_order=True)
        .agg(members=pl.struct("member", "connections"))
    )
