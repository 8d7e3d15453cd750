"""Connections older than the capture, at points that began at different times: no early segment is on both legs.

Their sequence numbers are: where a client's address and port are kept, and the ranges of both directions overlap, two
legs carry one stream. Two connections from one port have numbers of their own. Where nothing of the tuple is kept the
numbers must prove it alone (:mod:`flowscope.nat.streams`).
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import endpoint
from flowscope.nat.streams import apart_ns, same_streams

_TCP = 6
#: What was in flight when a capture began or ended.
_SLACK_BYTES = 65_536
#: Longer ranges may meet by chance.
_LONGEST_BYTES = 2**30
#: More legs than this from one port in one capture are a crowd that numbers hardly tell apart.
_CROWD = 8
#: When the two legs met is not known; it counts as a doubtful distance.
_GAP_NS = 100_000_000

_HALVES = ("fwd", "rev")
_SIDE = ("base_seq", "next_seq", "ttl_max")


def overlapping(flows: pl.DataFrame, missing: pl.Series) -> pl.DataFrame:
    """Pairs of legs whose ranges overlap both ways, with one client's address and port or beyond chance.

    Args:
        flows: with ``leg`` and ``at_ns``.
        missing: legs without SYN; one of a pair has none.

    Returns:
        ``a``, ``b``, ``point``, ``point_b``, ``turned``, ``drop`` (``b`` is upstream where it is negative), ``gap_ns``,
        and ``apart_ns``: how long after one was last seen the other began, by their own clocks.
    """
    columns = [f"{half}_{name}" for half in _HALVES for name in _SIDE]
    tcp = flows.filter(pl.col("protocol") == _TCP).select(
        "leg", "point", *columns, begin_ns="at_ns", end_ns=pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns"),
        one=endpoint("src"), other=endpoint("dst"),
    )  # fmt: skip
    own = tcp.filter(pl.col("leg").is_in(missing.implode())).drop_nulls(columns)
    if not own.height:
        return pl.DataFrame()
    ends = pl.concat([own["one"], own["other"]]).unique()
    near = tcp.filter(pl.col("one").is_in(ends.implode()) | pl.col("other").is_in(ends.implode())).drop_nulls(columns)
    plain = near.with_columns(turned=pl.lit(value=False))
    swapped = {f"{h}_{n}": f"{o}_{n}" for h, o in (("fwd", "rev"), ("rev", "fwd")) for n in _SIDE}
    back = near.rename(swapped | {"one": "other", "other": "one"}).select(near.columns)
    both = pl.concat([plain, back.with_columns(turned=pl.lit(value=True))])
    few = both.filter(pl.len().over("one").is_between(2, 2 * _CROWD))
    pairs = plain.join(few, "one", suffix="_b").filter(
        pl.col("leg") != pl.col("leg_b"),
        pl.col("other") != pl.col("other_b"),
        pl.col("fwd_ttl_max") > pl.col("fwd_ttl_max_b"),
        pl.col("rev_ttl_max") < pl.col("rev_ttl_max_b"),
        *(_overlap(half) for half in _HALVES),
    )
    pairs = pairs.filter(pl.col("leg").is_in(missing.implode()) | pl.col("leg_b").is_in(missing.implode()))
    drop = pl.col("fwd_ttl_max").cast(pl.Int16) - pl.col("fwd_ttl_max_b").cast(pl.Int16)
    kept = pairs.select(
        "point", "point_b", turned="turned_b", a="leg", b="leg_b", drop=drop, gap_ns=pl.lit(_GAP_NS, pl.Int64),
        apart_ns=apart_ns(),
    )  # fmt: skip
    bare = same_streams(tcp, missing)
    return pl.concat([kept, bare.select(kept.columns)]).unique(["a", "b"], keep="first", maintain_order=True)


def _overlap(half: str) -> pl.Expr:
    """True where the ranges of a half meet, modulo 2^32, and are short enough for that to mean something."""

    def ahead(later: str, earlier: str) -> pl.Expr:
        return (pl.col(later).cast(pl.Int64) - pl.col(earlier).cast(pl.Int64)) % 2**32

    base, end = f"{half}_base_seq", f"{half}_next_seq"
    length, length_b = ahead(end, base), ahead(f"{end}_b", f"{base}_b")
    begins = ahead(f"{base}_b", base) <= length + _SLACK_BYTES
    contains = ahead(base, f"{base}_b") <= length_b + _SLACK_BYTES
    return (begins | contains) & (length < _LONGEST_BYTES) & (length_b < _LONGEST_BYTES)
