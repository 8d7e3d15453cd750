"""What lies between a client that a header names and the proxy that wrote it: translators, and other proxies."""

from __future__ import annotations

import polars as pl

#: Between the address a header names and the proxy.
_MOST_TRANSLATORS = 8
#: A proxy may take so long to reach a server after its client has gone.
_GONE_NS = 5_000_000_000
#: Points on one clock disagree by less.
_SLACK_NS = 1_000_000


def to_the_end(joins: pl.DataFrame, joined: pl.DataFrame) -> pl.DataFrame:
    """A header may name the leg before a translator: what ends at the proxy is the leg behind it.

    Args:
        joins: with ``leg`` and ``before``.
        joined: legs that were joined packet by packet, columns ``leg`` and ``before``.
    """
    onward = joined.drop_nulls("before").unique("before", keep="last", maintain_order=True)
    for _ in range(_MOST_TRANSLATORS):
        further = joins.join(onward.select("before", onward="leg"), "before", how="left", maintain_order="left")
        if not further["onward"].is_not_null().any():
            break
        joins = further.with_columns(before=pl.coalesce("onward", "before")).drop("onward")
    return joins.filter((pl.col("leg") != pl.col("before")).fill_null(value=True))


def in_a_row(joins: pl.DataFrame, sides: pl.DataFrame, joined: pl.DataFrame) -> pl.DataFrame:
    """A proxy that reads the header of another writes the same one: its connection goes behind that one's.

    It is known by the host: the one that the first proxy called opens the next connection.

    Args:
        joins: with ``leg`` and ``before``.
        sides: as :func:`flowscope.nat.proxy_sides.sides` returns them.
        joined: legs that were joined packet by packet, columns ``leg`` and ``before``.
    """
    several = joins.filter(pl.col("before").is_duplicated()).drop_nulls("before")
    if not several.height:
        return joins
    behind = several.select("before", leg=pl.lit(None, pl.UInt64), middle="leg")
    # Between the two proxies may be translators as well.
    ends = to_the_end(behind.select("leg", first="before", before="middle"), joined)
    known = sides.select("leg", "src", "dst", "start_ns", "end_ns", "slack_ns")
    rows = several.select("leg", first="before").join(known, "leg").join(ends.select("first", middle="before"), "first")
    rows = rows.join(known, left_on="middle", right_on="leg", suffix="_m")
    slack = _SLACK_NS + pl.col("slack_ns") + pl.col("slack_ns_m")
    nearest = (
        rows.filter(
            pl.col("leg") != pl.col("middle"),
            pl.col("src") == pl.col("dst_m"),
            pl.col("start_ns") >= pl.col("start_ns_m") - slack,
            pl.col("start_ns") <= pl.col("end_ns_m") + _GONE_NS + slack,
        )
        .sort("leg", "start_ns_m", "middle")
        .unique("leg", keep="last", maintain_order=True)
    )
    moved = joins.join(nearest.select("leg", "middle"), "leg", how="left", maintain_order="left")
    return moved.with_columns(before=pl.coalesce("middle", "before")).drop("middle")
