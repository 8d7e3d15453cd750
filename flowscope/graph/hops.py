"""Paths as hops between places: what the edges of the graph are made of.

A leg runs from one place to the next. The place behind a leg is the frontend it called, when the destination changed
there; else the SNAT address that its successor leaves from, when only the source changed. Where both changed, a hop of
kind ``translation`` joins the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from flowscope.nat.outcomes import PROXIED

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

ENDS = ("src", "src_port", "dst", "dst_port")

PLACE = pl.Struct({"role": pl.String, "address": pl.Int64, "port": pl.Int64})
"""A node before it has a number: role, address number, port (-1 when the port does not matter)."""


def hops(analysis: Analysis) -> pl.DataFrame:
    """The hops of all paths, in path order.

    Returns:
        Columns ``path``, ``kind`` (``leg`` or ``translation``), ``from`` and ``to`` (structs, see ``PLACE``),
        ``outcome``, ``protocol``, ``packets`` and ``bytes`` (of the leg at the point that saw most; 0 for a
        translation), and ``translation``: what the translator before this leg changed (``dnat``, ``snat``,
        ``dnat+snat``, ``proxy``; empty for the first leg).
    """
    legs = analysis.legs.select(
        pl.col("leg").cast(pl.Int64),
        *(pl.col(name).cast(pl.Int64) for name in ("src", "src_port", "dst", "dst_port")),
        "flows",
    ).join(_traffic(analysis), on="leg", how="left", maintain_order="left")
    steps = (
        analysis.paths.select(
            pl.col("path").cast(pl.Int64),
            "protocol",
            "outcome",
            pl.col("frontend").is_not_null().alias("balanced"),
            pl.col("method").is_in(PROXIED).alias("proxied"),
            pl.col("legs").cast(pl.List(pl.Int64)).alias("leg"),
        )
        .explode("leg")
        .join(legs, on="leg", how="left", maintain_order="left")
        .with_columns(
            *(pl.col(name).shift(1).over("path").alias(f"before_{name}") for name in ENDS),
            *(pl.col(name).shift(-1).over("path").alias(f"after_{name}") for name in ("src", "dst", "dst_port")),
        )
    )
    inside = pl.Series(_addresses_of_members(analysis), dtype=pl.Int64)
    first, last = pl.col("before_src").is_null(), pl.col("after_src").is_null()
    new_source = (pl.col("src") != pl.col("before_src")).fill_null(False)
    member = pl.col("balanced") | pl.col("dst").is_in(inside.implode())
    # A call that was never passed on ends at the frontend itself.
    served = pl.struct("dst", "dst_port").is_in(_frontends(analysis).implode())
    endpoint = (
        pl.when(served & first)
        .then(pl.lit("frontend"))
        .when(member)
        .then(pl.lit("member"))
        .otherwise(pl.lit("destination"))
    )
    source_only = (pl.col("dst") == pl.col("after_dst")) & (pl.col("dst_port") == pl.col("after_dst_port"))
    called_before = _place("frontend", "before_dst", "before_dst_port")
    begin = (
        pl.when(first)
        .then(_place("client", "src"))
        .when(new_source)
        .then(_place("snat", "src"))
        .otherwise(called_before)
    )
    end = (
        pl.when(last)
        .then(_place(endpoint, "dst", "dst_port"))
        .when(source_only)
        .then(_place("snat", "after_src"))
        .otherwise(_place("frontend", "dst", "dst_port"))
    )
    moved = (pl.col("dst") != pl.col("before_dst")) | (pl.col("dst_port") != pl.col("before_dst_port"))
    renamed = new_source | (pl.col("src_port") != pl.col("before_src_port"))
    changed = (
        pl.when(first)
        .then(pl.lit(""))
        .when("proxied")
        .then(pl.lit("proxy"))
        .when(moved & renamed)
        .then(pl.lit("dnat+snat"))
        .when(moved)
        .then(pl.lit("dnat"))
        .otherwise(pl.lit("snat"))
    )
    shared = ("path", "outcome", "protocol", changed.alias("translation"))
    travelled = steps.select(
        *shared, pl.lit("leg").alias("kind"), begin.alias("from"), end.alias("to"), "packets", "bytes"
    )
    translated = steps.filter(new_source & moved).select(
        *shared,
        pl.lit("translation").alias("kind"),
        called_before.alias("from"),
        _place("snat", "src").alias("to"),
        pl.lit(0, pl.Int64).alias("packets"),
        pl.lit(0, pl.Int64).alias("bytes"),
    )
    return pl.concat([travelled, translated]).sort("path", maintain_order=True)


def _place(role: str | pl.Expr, address: str, port: str | None = None) -> pl.Expr:
    return pl.struct(
        (pl.lit(role) if isinstance(role, str) else role).alias("role"),
        pl.col(address).cast(pl.Int64).alias("address"),
        (pl.lit(-1, pl.Int64) if port is None else pl.col(port).cast(pl.Int64)).alias("port"),
    )


def _traffic(analysis: Analysis) -> pl.DataFrame:
    """Packets and bytes of each leg, both halves, at the point that saw most of it."""
    flows = analysis.flows.select(
        pl.col("flow").cast(pl.Int64).alias("flows"),
        (pl.col("fwd_packets") + pl.col("rev_packets")).cast(pl.Int64).alias("packets"),
        (pl.col("fwd_bytes") + pl.col("rev_bytes")).cast(pl.Int64).alias("bytes"),
    )
    seen = (
        analysis.legs.select(pl.col("leg").cast(pl.Int64), pl.col("flows").cast(pl.List(pl.Int64)))
        .explode("flows")
        .join(flows, on="flows", how="left")
    )
    return seen.group_by("leg").agg(pl.col("packets", "bytes").max().fill_null(0))


def _addresses_of_members(analysis: Analysis) -> list[int]:
    """Address numbers of the topology's members."""
    members = {member.address for pool in analysis.topology.pools for member in pool.members}
    return analysis.addresses.filter(pl.col("text").is_in(list(members)))["address"].to_list()


def _frontends(analysis: Analysis) -> pl.Series:
    """Endpoints (``dst``, ``dst_port``) of the frontends: of the topology, and those that translated paths called."""
    number = dict(analysis.addresses.select("text", "address").iter_rows())
    listed = [(number[one.address], one.port) for one in analysis.topology.frontends if one.address in number]
    called = analysis.paths.filter(pl.col("frontend").is_not_null(), pl.col("legs").list.len() > 1)
    seen = called.select("frontend", "frontend_port").unique(maintain_order=True).iter_rows()
    rows = sorted({*listed, *seen})
    return pl.DataFrame(rows, schema={"dst": pl.Int64, "dst_port": pl.Int64}, orient="row").to_struct()
