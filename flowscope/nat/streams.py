"""Connections older than the capture behind translators that keep nothing of the tuple, with no segment on both legs.

Their sequence numbers alone are left. Two legs whose ranges meet in both directions are one connection where chance
would not make any two of all legs meet like that; long ranges and many legs make it likelier that it would.
"""

from __future__ import annotations

from math import log2

import polars as pl

from flowscope.nat.sequence_ranges import GAP_NS, HALVES, either_way, meet, with_lengths

#: What may have been in flight when a capture began or ended.
_SLACK_BYTES = 4_096
#: Bits of proof that are left once every leg that a leg could have met by chance is counted.
_SURE_BITS = 20.0
#: Cells of sequence numbers in which ranges are looked for, as powers of two: of ranges up to so many bytes, of all.
_CELL, _SHORT_BYTES, _WIDE_CELL = 20, 2**23, 26


def same_streams(tcp: pl.DataFrame, missing: pl.Series) -> pl.DataFrame:
    """Pairs of legs whose ranges of sequence numbers meet both ways, which chance does not explain.

    Args:
        tcp: flows with ``leg``, ``point``, ``begin_ns``, ``end_ns``, their ends (``one``, ``other``), and of both
            halves ``base_seq``, ``next_seq`` and ``ttl_max``.
        missing: legs without SYN; one of a pair has none.

    Returns:
        ``a``, ``b``, ``point``, ``point_b``, ``turned``, ``drop`` (negative where ``b`` is upstream), ``gap_ns``, and
        ``apart_ns`` (:func:`apart_ns`).
    """
    known = with_lengths(tcp).with_row_index("row")
    own, both = known.filter(pl.col("leg").is_in(missing.implode())), either_way(known)
    return _sure(_met(own, both), known["leg"].n_unique()).select(
        "point", "point_b", "turned", "drop", a="leg", b="leg_b", apart_ns=apart_ns(),
        gap_ns=pl.col("drop").sign().cast(pl.Int64) * GAP_NS,
    ).unique(["a", "b"], keep="first", maintain_order=True)  # fmt: skip


def apart_ns() -> pl.Expr:
    """How long after one of two flows was last seen the other began; 0 where they overlap."""
    late = pl.col("begin_ns_b") - pl.col("end_ns"), pl.col("begin_ns") - pl.col("end_ns_b")
    return pl.max_horizontal(*late, pl.lit(0, pl.Int64))


def _met(own: pl.DataFrame, both: pl.DataFrame) -> pl.DataFrame:
    """Pairs that have a cell in common in both halves."""
    short = pl.all_horizontal(pl.col(f"{half}_bytes") <= _SHORT_BYTES for half in HALVES)
    found = [
        (own.filter(short), both.filter(short), _CELL),
        (own.filter(~short), both, _WIDE_CELL),
        (own.filter(short), both.filter(~short), _WIDE_CELL),
    ]
    numbers = []
    for left, right, size in found:
        cells = _cells(left, size)
        met = cells.join(_cells(right, size), ["fwd_cell", "rev_cell"], suffix="_b")
        numbers.append(met.select("row", "row_b", "turned").unique(maintain_order=True))
    pairs = pl.concat(numbers).filter(pl.col("row") != pl.col("row_b"))
    return pairs.join(own, "row").join(
        both.rename({name: f"{name}_b" for name in both.columns if name != "turned"}), ["row_b", "turned"]
    )


def _cells(table: pl.DataFrame, size: int) -> pl.DataFrame:
    for half in HALVES:
        begin = pl.col(f"{half}_base_seq").cast(pl.Int64) - _SLACK_BYTES
        end = begin + pl.col(f"{half}_bytes") + 2 * _SLACK_BYTES
        cells = pl.int_ranges(begin // 2**size, end // 2**size + 1)
        table = table.with_columns(cells.alias(f"{half}_cell")).explode(f"{half}_cell")
        table = table.with_columns(pl.col(f"{half}_cell") % 2 ** (32 - size))
    return table.select(*(name for name in ("row", "turned") if name in table.columns), "fwd_cell", "rev_cell")


def _sure(pairs: pl.DataFrame, legs: int) -> pl.DataFrame:
    """The pairs, one leg a hop further on than the other both ways, that chance would not make meet."""
    drop, rise = (pl.col(f"{half}_ttl_max").cast(pl.Int16) - pl.col(f"{half}_ttl_max_b") for half in HALVES)
    same_ends = (pl.col("one") == pl.col("one_b")) & (pl.col("other") == pl.col("other_b"))
    places = [pl.col(f"{half}_bytes") + pl.col(f"{half}_bytes_b") + 2 * _SLACK_BYTES for half in HALVES]
    # Where both saw the last byte, one place alone would have done.
    ended = pl.all_horizontal(pl.col(f"{half}_next_seq") == pl.col(f"{half}_next_seq_b") for half in HALVES)
    taken = pl.when(ended).then(0.0).otherwise(places[0].cast(pl.Float64).log(2) + places[1].cast(pl.Float64).log(2))
    proof = 64 - taken - log2(max(legs, 1))
    return pairs.with_columns(drop=drop).filter(
        pl.col("leg") != pl.col("leg_b"),
        ~same_ends,
        drop.sign() == -rise.sign(),
        drop != 0,
        *(meet(half, _SLACK_BYTES) for half in HALVES),
        proof >= _SURE_BITS,
    )
