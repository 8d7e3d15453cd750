"""Many alike become one: a picture of a thousand clients shows none of them."""

from __future__ import annotations

import polars as pl

MANY = 20
"""Places of one role with the same neighbour stay apart up to this many."""


def group_many(hops: pl.DataFrame) -> pl.DataFrame:
    """Puts clients that share their next hop into one place, and destinations that share the hop before; counts them.

    Args:
        hops: as :func:`flowscope.graph.hops.hops` returns them.

    Returns:
        The same rows; ``from`` and ``to`` have one more field, ``hosts``. A group has the address -1.
    """
    return _group(_group(hops, "from", "to", "client"), "to", "from", "destination")


def _group(hops: pl.DataFrame, end: str, other: str, role: str) -> pl.DataFrame:
    field = pl.col(end).struct.field
    hosts = (
        pl.when(field("role") == role)
        .then(field("address").n_unique().over(pl.col(other), field("role")))
        .otherwise(pl.lit(1))
    )
    counted = hops.with_columns(hosts.cast(pl.Int64).alias("hosts"))
    many = pl.col("hosts") > MANY
    # A group has no address of its own, so two groups of a kind are told apart by their neighbour.
    group = counted.select(pl.col(other).rank("dense")).to_series().cast(pl.Int64)
    return counted.with_columns(
        pl.struct(
            field("role"),
            pl.when(many).then(-1 - group).otherwise(field("address")).alias("address"),
            pl.when(many).then(pl.lit(-1, pl.Int64)).otherwise(field("port")).alias("port"),
            pl.when(many).then("hosts").otherwise(pl.lit(1, pl.Int64)).alias("hosts"),
        ).alias(end)
    ).drop("hosts")
