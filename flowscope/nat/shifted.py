"""Segments by their place in the stream, for translators that renumber.

A SYN proxy answers in the server's stead with a number of its own, a firewall may randomise every first number: from
then on it shifts all of them by a constant, modulo 2^32. Counted from the first number of either leg, segments stay
where they were, and so do their acknowledgements.
"""

from __future__ import annotations

import polars as pl

_TCP = 6
_DATA = 8
_SLICE = 100_000
COLUMNS = ("leg", "half", "point", "at_ns", "ttl", "ip_id", "tsval")


def shifted_segments(legs: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Data segments that stand at one place in the streams of several legs whose own numbers differ.

    Args:
        legs: as :func:`flowscope.nat.legs.leg_table` returns them.
        events: with ``leg``, ``point`` and ``at_ns``.

    Returns:
        :data:`COLUMNS`, and ``key``: the same for the same place, acknowledgement and bytes.
    """
    known = pl.col("fwd_isn").is_not_null() & pl.col("rev_isn").is_not_null() & (pl.col("protocol") == _TCP)
    # Where both numbers are kept there is nothing to look for.
    alone = known & ~pl.struct("fwd_isn", "rev_isn").is_duplicated()
    own = legs.sort("leg").select(fwd_isn=pl.when(alone).then("fwd_isn"), rev_isn=pl.when(alone).then("rev_isn"))
    # In slices: every connection's segments are looked at, and hardly any of them is kept.
    narrow = events.select("leg", "kind", "half", "seq", "ack", "digest")
    starts = range(0, narrow.height, _SLICE)
    places = pl.concat([_keys(narrow.slice(start, _SLICE), own, start) for start in starts] or [_keys(narrow, own, 0)])
    # Sorted, equal keys are neighbours; a hash table of them all would need several times the memory.
    ordered = places["key"].sort()
    repeated = ordered.filter(ordered == ordered.shift(1)).unique()
    places = places.filter(pl.col("key").is_in(repeated.implode()))
    return events.select(*COLUMNS)[places["row"]].with_columns(key=places["key"])


def _keys(part: pl.DataFrame, own: pl.DataFrame, start: int) -> pl.DataFrame:
    """``row`` and ``key`` of the data segments of a slice whose leg's numbers are known and its own."""
    data = part.with_row_index("row", start).filter(pl.col("kind") == _DATA, pl.col("digest") != 0)
    data = data.with_columns(own["fwd_isn"].gather(data["leg"]), own["rev_isn"].gather(data["leg"]))
    return data.filter(pl.col("fwd_isn").is_not_null()).select("row", key=_place())


def _place() -> pl.Expr:
    back = pl.col("half") == 1
    own = pl.when(back).then("rev_isn").otherwise("fwd_isn").cast(pl.Int64)
    other = pl.when(back).then("fwd_isn").otherwise("rev_isn").cast(pl.Int64)
    at = (pl.col("seq").cast(pl.Int64) - own) % 2**32
    acknowledged = (pl.col("ack").cast(pl.Int64) - other) % 2**32
    return pl.struct("half", at.alias("at"), acknowledged.alias("acknowledged"), "digest").hash()
