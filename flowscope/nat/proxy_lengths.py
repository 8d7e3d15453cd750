"""How much longer requests and responses are behind a proxy: it adds the same headers to all of a client's.

Snap lengths cut no lengths, so these tell requests apart of which nothing else is left. What a proxy usually adds is
read from pairs that nothing else could be: others of the same time lie far less closely together.
"""

from __future__ import annotations

import polars as pl

#: Bits of a usual difference, and of one that no clear pair has.
_USUAL, _UNHEARD = 2.0, -6.0
_ANSWER, _UNHEARD_ANSWER = 1.0, -3.0
#: Clear pairs that say what is usual, and how many of them a usual difference has.
_ENOUGH, _SHARE = 5, 0.15
#: The next pair of a clear one takes so many times longer; less than the slack cannot be told from nothing.
_FARTHER, _SLACK_MS = 4, 0.1


def with_length_bits(pairs: pl.DataFrame, wrong: pl.Expr, passing_ms: pl.Expr) -> pl.DataFrame:
    """Adds ``length_bits``, from -9 to 3.

    What the proxy adds is the same for a client (its address may be among it), for responses it is the same for all.

    Args:
        pairs: of requests, with ``front``, ``back``, ``asked_bytes``, ``answer_bytes``, the client's ``src`` and the
            ``dst_end`` it called, and the server's side with ``_b``.
        wrong: true where the times speak against a pair.
        passing_ms: how long a request and its response were on their way through the proxy.
    """
    pairs = pairs.with_columns(_way=pl.when(~wrong).then(passing_ms))
    farther = _FARTHER * (pl.col("_way") + _SLACK_MS)
    clear = pl.col("_way").is_not_null() & pl.all_horizontal(
        (_second("_way").over(side) >= farther).fill_null(value=True) for side in ("front", "back")
    )
    # Columns first: a window inside of a window would count within its groups.
    pairs = pairs.with_columns(_clear=clear, **{f"_{name}": _more(name) for name in ("asked_bytes", "answer_bytes")})
    bits = _bits("_asked_bytes", ["src", "dst_end", "src_b"], _USUAL, _UNHEARD)
    answers = _bits("_answer_bytes", ["dst_end", "src_b"], _ANSWER, _UNHEARD_ANSWER)
    return pairs.with_columns(length_bits=bits + answers).drop("_clear", "_way", "_asked_bytes", "_answer_bytes")


def _second(name: str) -> pl.Expr:
    """The second smallest of a group; null when there is none."""
    return pl.col(name).drop_nulls().sort().slice(1, 1).first()


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
