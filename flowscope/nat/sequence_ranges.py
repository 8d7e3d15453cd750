"""Ranges of sequence numbers that flows went through, either way round, and whether those of two flows meet."""

from __future__ import annotations

import polars as pl

HALVES = ("fwd", "rev")
_SIDE = ("base_seq", "next_seq", "ttl_max")
COLUMNS = [f"{half}_{name}" for half in HALVES for name in _SIDE]
"""What :func:`with_lengths` and :func:`either_way` need of a flow."""
#: Longer ranges may meet by chance.
_LONGEST_BYTES = 2**30
GAP_NS = 100_000_000
"""When two legs met that no packet ties is not known; it counts as a doubtful distance."""


def with_lengths(flows: pl.DataFrame) -> pl.DataFrame:
    """The flows whose ranges are known and short enough to mean something, with ``fwd_bytes`` and ``rev_bytes``."""
    known = flows.drop_nulls(COLUMNS).with_columns(
        _ahead(f"{half}_next_seq", f"{half}_base_seq").alias(f"{half}_bytes") for half in HALVES
    )
    return known.filter(*(pl.col(f"{half}_bytes") < _LONGEST_BYTES for half in HALVES))


def either_way(flows: pl.DataFrame) -> pl.DataFrame:
    """The flows, and the flows with halves and ends (``one``, ``other``) exchanged, which are ``turned``."""
    names = (*_SIDE, "bytes")
    swapped = {f"{h}_{n}": f"{o}_{n}" for h, o in (("fwd", "rev"), ("rev", "fwd")) for n in names}
    back = flows.rename(swapped | {"one": "other", "other": "one"}).select(flows.columns)
    return pl.concat([flows.with_columns(turned=pl.lit(value=False)), back.with_columns(turned=pl.lit(value=True))])


def meet(half: str, slack_bytes: int) -> pl.Expr:
    """True where the ranges of a half of two flows, the second with ``_b``, meet modulo 2^32."""
    base = f"{half}_base_seq"
    begins = _ahead(f"{base}_b", base) <= pl.col(f"{half}_bytes") + slack_bytes
    contains = _ahead(base, f"{base}_b") <= pl.col(f"{half}_bytes_b") + slack_bytes
    return begins | contains


def _ahead(later: str, earlier: str) -> pl.Expr:
    return (pl.col(later).cast(pl.Int64) - pl.col(earlier).cast(pl.Int64)) % 2**32
