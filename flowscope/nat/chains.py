"""Several translators in a row: each leg continues the one next to it, also where an earlier one fits better.

The SYN of the first leg fits that of the third; where the SYN between them was not captured the second fits less well,
and is on the way all the same.
"""

from __future__ import annotations

import polars as pl

#: More translators than stand in a row.
_MOST = 8


def along_chains(ranked: pl.DataFrame) -> pl.DataFrame:
    """Adds ``first``, the predecessor of each leg, ``best``, its bits, and ``place``: 0 for that pair, else 1 or more.

    Args:
        ranked: pairs ``a`` (upstream) and ``b`` with ``bits``, ``drop`` and ``tracked``, the best of each ``b`` first.
    """
    ranked = ranked.with_columns(first=pl.col("a").first().over("b"), place=pl.int_range(pl.len()).over("b"))
    # Only a lower TTL tells which of two is nearer.
    others = ranked.filter(pl.col("place") > 0, pl.col("drop") > 0, ~pl.col("tracked").first().over("b"))
    steps = ranked.filter(pl.col("drop") > 0).select("a", "b").unique()
    chosen = others.select("b", "first").unique()
    for _ in range(_MOST):
        # A candidate that itself continues the chosen one is nearer.
        nearer = others.drop("first").join(chosen, "b", maintain_order="left")
        nearer = nearer.join(steps, left_on=["first", "a"], right_on=["a", "b"], how="semi", maintain_order="left")
        if not nearer.height:
            break
        moved = nearer.unique("b", keep="first", maintain_order=True).select("b", moved="a")
        chosen = chosen.join(moved, "b", how="left").select("b", first=pl.coalesce("moved", "first"))
    if chosen.height:
        ranked = ranked.join(chosen.rename({"first": "moved"}), "b", how="left", maintain_order="left")
        ranked = ranked.with_columns(first=pl.coalesce("moved", "first")).drop("moved")
    place = pl.when(pl.col("a") == pl.col("first")).then(0).otherwise(pl.col("place") + 1)
    return ranked.with_columns(
        place=place, best=pl.col("bits").filter(pl.col("a") == pl.col("first")).first().over("b")
    )
