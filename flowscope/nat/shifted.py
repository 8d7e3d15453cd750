"""Segments by their place in the stream, for translators that renumber.

A SYN proxy answers in the server's stead with a number of its own, a firewall may randomise every first number: from
then on it shifts all of them by a constant, modulo 2^32. Counted from the first number of either leg, segments stay
where they were, and so do their acknowledgements.
"""

from __future__ import annotations

import polars as pl

_TCP = 6
_SYN_ACK, _DATA = 1, 8
_SLICE = 100_000
COLUMNS = ("leg", "half", "point", "at_ns", "ttl", "ip_id", "tsval")


def first_numbers(legs: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """``fwd_isn`` and ``rev_isn`` of each ``leg``; where the packet was not captured, from what acknowledged it.

    Args:
        legs: as :func:`flowscope.nat.legs.leg_table` returns them.
        events: with ``leg``.
    """
    first = legs.select("leg", "protocol", "fwd_isn", "rev_isn")
    for own, other, kind in (("fwd_isn", "rev_isn", _SYN_ACK), ("rev_isn", "fwd_isn", _DATA)):
        lacking = first.filter(pl.col("protocol") == _TCP, pl.col(own).is_null(), pl.col(other).is_not_null())
        if not lacking.height:
            continue
        half = 1 if kind == _SYN_ACK else 0
        said = events.filter(
            pl.col("kind") == kind, pl.col("half") == half, pl.col("leg").is_in(lacking["leg"].implode())
        )
        if kind == _DATA:
            # The first data of the initiator acknowledges the SYN-ACK, unless the other side spoke first.
            start = first.select("leg", start=(pl.col("fwd_isn").cast(pl.Int64) + 1) % 2**32)
            said = said.join(start, "leg").filter(pl.col("seq") == pl.col("start"))
        lost = said.group_by("leg").agg(lost=((pl.col("ack").cast(pl.Int64).first() - 1) % 2**32).cast(pl.UInt32))
        first = first.join(lost, "leg", how="left").with_columns(pl.coalesce(own, "lost").alias(own)).drop("lost")
    return first


def believable_shift(told: pl.Expr) -> pl.Expr:
    """True of pairs of legs where the segments at one place tell of one connection.

    The same questions and answers come again and again, to the same service as well: the client's address and port or
    one of the two numbers must be kept, and more than one segment agree, or one that is the same packet.

    Args:
        told: true where something else speaks for a translator that renumbers.
    """
    copied = pl.col("same_id") & (pl.col("ip_id") != 0)
    stamped = pl.col("same_tsval") & (pl.col("tsval") != 0)
    several = (pl.col("shared") >= 2) | (pl.col("same_isn") & (copied | stamped)) | (pl.col("src_kept") & copied)
    return (pl.col("src_kept") | pl.col("same_isn") | told) & several


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
    own = first_numbers(legs, events).sort("leg")
    own = own.select(fwd_isn=pl.when(alone).then("fwd_isn"), rev_isn=pl.when(alone).then("rev_isn"))
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
