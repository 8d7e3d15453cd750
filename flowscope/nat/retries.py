"""Tries of one connection that left a translator under different ports.

A translator may forget a try that was reset or refused, and give the next SYN of the same connection another port. Each
try is a packet of its own, with its own IP identification and timestamp, and each server leg has the one it carried.
"""

from __future__ import annotations

import polars as pl

_SYN = 0
#: Longer no translator holds a packet that it forwards; a copy of the trace may come later.
_HELD_NS = 50_000_000


def other_tries(pairs: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Of pairs of legs of which one has a far nearer partner, those whose common SYN that partner never had.

    Args:
        pairs: with ``a``, ``b``, ``far`` and ``_distance`` (time between the two copies).
        events: with ``leg``.

    Returns:
        These rows of ``pairs``.
    """
    same = pl.col("same_id") & pl.col("same_tsval") & (pl.col("ip_id") != 0) & (pl.col("tsval") != 0)
    doubtful = pairs.filter("far", pl.col("by") == "syn", same, pl.col("_distance") <= _HELD_NS)
    if not doubtful.height:
        return doubtful
    legs = pl.concat([pairs["a"], pairs["b"]]).unique()
    copies = events.filter(pl.col("kind") == _SYN, pl.col("leg").is_in(legs.implode()))
    copies = copies.select(partner="leg", ip_id="ip_id", tsval="tsval").unique()
    partners = pairs.filter(~pl.col("far")).select("a", "b")
    known = pl.concat([partners.select(leg="a", partner="b"), partners.select(leg="b", partner="a")])
    tries = doubtful.select("a", "b", "ip_id", "tsval")
    either = pl.concat([tries.with_columns(leg="a"), tries.with_columns(leg="b")])
    rivals = either.join(known, "leg").join(copies, ["partner", "ip_id", "tsval"], how="semi")
    return doubtful.join(rivals.select("a", "b").unique(), ["a", "b"], how="anti", maintain_order="left")
