"""How much longer requests and responses are behind a proxy: it adds the same headers to all of a client's.

Snap lengths cut no lengths, so these tell requests apart of which nothing else is left. What a proxy usually adds is
read from pairs that nothing else could be.
"""

from __future__ import annotations

import polars as pl

#: Bits of a usual difference, and of one that no clear pair has.
_USUAL, _UNHEARD = 2.0, -6.0
_ANSWER, _UNHEARD_ANSWER = 1.0, -3.0
#: Clear pairs that say what is usual, and how many of them a usual difference has.
_ENOUGH, _SHARE = 5, 0.15


def with_length_bits(pairs: pl.DataFrame, wrong: pl.Expr) -> pl.DataFrame:
    """Adds ``length_bits``, from -9 to 3.

    What the proxy adds is the same for a client (its address may be among it), for responses it is the same for all.

    Args:
        pairs: of requests, with ``front``, ``back``, ``asked_bytes``, ``answer_bytes``, the client's ``src`` and the
            ``dst_end`` it called, and the server's side with ``_b``.
        wrong: true where the times speak against a pair.
    """
    clear = (pl.len().over("front") == 1) & (pl.len().over("back") == 1) & ~wrong
    # Columns first: a window inside of a window would count within its groups.
    pairs = pairs.with_columns(_clear=clear, **{f"_{name}": _more(name) for name in ("asked_bytes", "answer_bytes")})
    bits = _bits("_asked_bytes", ["src", "dst_end", "src_b"], _USUAL, _UNHEARD)
    answers = _bits("_answer_bytes", ["dst_end", "src_b"], _ANSWER, _UNHEARD_ANSWER)
    return pairs.with_columns(length_bits=bits + answers).drop("_clear", "_asked_bytes", "_answer_bytes")


def _more(name: str) -> pl.Expr:
    """How much longer the server's side is; null where a length is not known."""
    known = (pl.col(name) > 0) & (pl.col(f"{name}_b") > 0)
    return pl.when(known).then(pl.col(f"{name}_b").cast(pl.Int64) - pl.col(name).cast(pl.Int64))


def _bits(more: str, by: list[str], usual: float, unheard: float) -> pl.Expr:
    counts = pl.col("_clear") & pl.col(more).is_not_null()
    told, alike = counts.sum().over(by), counts.sum().over([*by, more])
    return (
        pl.when(pl.col(more).is_null() | (told < _ENOUGH)).then(0.0)
        .when(alike == 0).then(unheard)
        .when(alike >= _SHARE * told).then(usual)
        .otherwise(0.0)
    )  # fmt: skip
