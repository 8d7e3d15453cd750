"""Connections older than the capture, at points that began at different times: no early segment is on both legs.

Their sequence numbers are: where a client's address and port are kept, and the ranges of both directions overlap, two
legs carry one stream. Two connections from one port have numbers of their own. Where nothing of the tuple is kept the
numbers must prove it alone (:mod:`flowscope.nat.streams`).
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import endpoint
from flowscope.nat.sequence_ranges import COLUMNS, GAP_NS, HALVES, either_way, meet, with_lengths
from flowscope.nat.streams import apart_ns, same_streams

_TCP = 6
#: What was in flight when a capture began or ended.
_SLACK_BYTES = 65_536
#: More legs than this from one port in one capture are a crowd that numbers hardly tell apart.
_CROWD = 8


def overlapping(flows: pl.DataFrame, missing: pl.Series) -> pl.DataFrame:
    """Pairs of legs whose ranges overlap both ways, with one client's address and port or beyond chance.

    Args:
        flows: with ``leg`` and ``at_ns``.
        missing: legs without SYN; one of a pair has none.

    Returns:
        ``a``, ``b``, ``point``, ``point_b``, ``turned``, ``drop`` (``b`` is upstream where it is negative), ``gap_ns``,
        and ``apart_ns``: how long after one was last seen the other began, by their own clocks.
    """
    tcp = flows.filter(pl.col("protocol") == _TCP).select(
        "leg", "point", *COLUMNS, begin_ns="at_ns", end_ns=pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns"),
        one=endpoint("src"), other=endpoint("dst"),
    )  # fmt: skip
    own = tcp.filter(pl.col("leg").is_in(missing.implode())).drop_nulls(COLUMNS)
    if not own.height:
        return pl.DataFrame()
    ends = pl.concat([own["one"], own["other"]]).unique()
    near = with_lengths(tcp.filter(pl.col("one").is_in(ends.implode()) | pl.col("other").is_in(ends.implode())))
    both = either_way(near)
    plain = both.filter(~pl.col("turned"))
    few = both.filter(pl.len().over("one").is_between(2, 2 * _CROWD))
    pairs = plain.join(few, "one", suffix="_b").filter(
        pl.col("leg") != pl.col("leg_b"),
        pl.col("other") != pl.col("other_b"),
        pl.col("fwd_ttl_max") > pl.col("fwd_ttl_max_b"),
        pl.col("rev_ttl_max") < pl.col("rev_ttl_max_b"),
        *(meet(half, _SLACK_BYTES) for half in HALVES),
    )
    pairs = pairs.filter(pl.col("leg").is_in(missing.implode()) | pl.col("leg_b").is_in(missing.implode()))
    drop = pl.col("fwd_ttl_max").cast(pl.Int16) - pl.col("fwd_ttl_max_b").cast(pl.Int16)
    kept = pairs.select(
        "point", "point_b", turned="turned_b", a="leg", b="leg_b", drop=drop, gap_ns=pl.lit(GAP_NS, pl.Int64),
        apart_ns=apart_ns(),
    )  # fmt: skip
    bare = same_streams(tcp, missing)
    return pl.concat([kept, bare.select(kept.columns)]).unique(["a", "b"], keep="first", maintain_order=True)
