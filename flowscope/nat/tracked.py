"""What the translator itself says: its kernel's table of connections decides between candidates for a join."""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import endpoint

TRANSLATIONS: dict[str, pl.DataType | type[pl.DataType]] = {
    "protocol": pl.UInt8,
    "src": pl.String,
    "src_port": pl.UInt16,
    "dst": pl.String,
    "dst_port": pl.UInt16,
    "src_b": pl.String,
    "src_b_port": pl.UInt16,
    "dst_b": pl.String,
    "dst_b_port": pl.UInt16,
}
"""Columns of a table of translations: the packets of a connection as they came, and (``_b``) as they went on."""


def tracked_pairs(pairs: pl.DataFrame, legs: pl.DataFrame, said: pl.DataFrame, addresses: pl.DataFrame) -> pl.Series:
    """For each pair of legs whether the translator turned the one into the other.

    Args:
        pairs: of legs, with the endpoints of both as the client's packets travel.
        legs: with ``leg`` and ``protocol``.
        said: columns as in :data:`TRANSLATIONS`.
        addresses: the core's address table.
    """
    if not said.height or not pairs.height:
        return pl.repeat(value=False, n=pairs.height, dtype=pl.Boolean, eager=True).alias("tracked")
    sides = ("src", "dst", "src_b", "dst_b")
    known = said
    for side in sides:
        number = addresses.select(pl.col("text").alias(side), pl.col("address").alias("_number"))
        known = known.join(number, side).with_columns(pl.col("_number").alias(side)).drop("_number")
    keys = ["protocol", *(f"_{side}" for side in sides)]
    known = known.select("protocol", *(endpoint(side).alias(f"_{side}") for side in sides)).unique()
    ours = pairs.rename({"src_port_b": "src_b_port", "dst_port_b": "dst_b_port"})
    ours = ours.join(legs.select("leg", "protocol"), left_on="a", right_on="leg", how="left", maintain_order="left")
    ours = ours.select(pl.col("protocol").cast(pl.UInt8), *(endpoint(side).alias(f"_{side}") for side in sides))
    found = ours.join(known.with_columns(tracked=pl.lit(value=True)), keys, how="left", maintain_order="left")
    return found["tracked"].fill_null(value=False)
