"""How many ports are in use at a time: an event sweep over intervals, for all pools at once.

A pool is what shares a set of ports: a SNAT address, a protocol and a destination (and a member, where each has its
own share). Intervals are half open: a port released at an instant may be taken again at the same instant.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

#: A share of the ports, in per cent, that is worth a word when it is exceeded.
MARKS = (50, 75, 90, 100)


def cut_at_reuse(uses: pl.DataFrame) -> pl.DataFrame:
    """Ends a use when its port is seen in another use of the pool: the translator has released it by then.

    Args:
        uses: ``pool``, ``snat_port`` (null where it was not seen), ``from_ns``, ``until_ns``.
    """
    # Sorted once and compared with the next row: a window per port costs seconds when there are 60,000 of them.
    ordered = uses.sort("pool", "snat_port", "from_ns", nulls_last=True)
    same = (pl.col("pool") == pl.col("pool").shift(-1)) & (pl.col("snat_port") == pl.col("snat_port").shift(-1))
    again = pl.col("from_ns").shift(-1)
    return ordered.with_columns(
        until_ns=pl.when((same & (again < pl.col("until_ns"))).fill_null(value=False)).then(again).otherwise("until_ns")
    )


def levels(uses: pl.DataFrame) -> pl.DataFrame:
    """The number of ports in use, at every instant at which it changes.

    Args:
        uses: ``pool``, ``from_ns``, ``until_ns``.

    Returns:
        ``pool``, ``at_ns``, ``level`` (from this instant on), in order of time within each pool.
    """
    real = uses.filter(pl.col("until_ns") > pl.col("from_ns"))
    steps = pl.concat(
        [
            real.select("pool", at_ns="from_ns", step=pl.lit(1, pl.Int64)),
            real.select("pool", at_ns="until_ns", step=pl.lit(-1, pl.Int64)),
        ]
    )
    # Every interval closes, so the steps of a pool add up to nothing and one sum runs through all pools.
    summed = steps.sort("pool", "at_ns").with_columns(level=pl.col("step").cum_sum())
    moment = pl.struct("pool", "at_ns")
    return summed.filter((moment != moment.shift(-1)).fill_null(value=True)).select("pool", "at_ns", "level")


def peaks(levels: pl.DataFrame) -> pl.DataFrame:
    """The highest level of each pool (``peak``) and when it was first reached (``peak_ns``)."""
    highest = pl.col("level") == pl.col("level").max()
    return levels.group_by("pool").agg(
        peak=pl.col("level").max().cast(pl.UInt32), peak_ns=pl.col("at_ns").filter(highest).min()
    )


def time_above(levels: pl.DataFrame, available: pl.DataFrame, marks: Sequence[int] = MARKS) -> pl.DataFrame:
    """Seconds that each pool spent at or above each share of its ports.

    Args:
        levels: as :func:`levels` returns them.
        available: ``pool`` and ``ports_available``.
        marks: shares in per cent.

    Returns:
        ``pool`` and ``above_<mark>_s`` for each mark.
    """
    lasting = levels.join(available, "pool").with_columns(
        lasts_ns=(pl.col("at_ns").shift(-1).over("pool", order_by="at_ns") - pl.col("at_ns")).fill_null(0)
    )
    return lasting.group_by("pool").agg(
        (
            pl.col("lasts_ns").filter(pl.col("level") * 100 >= pl.col("ports_available").cast(pl.Int64) * mark).sum()
            / 1e9
        ).alias(f"above_{mark}_s")
        for mark in marks
    )


def level_at(levels: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """Adds ``level`` to moments (``pool``, ``at_ns``): the ports in use just then."""
    return (
        moments.sort("at_ns")
        .join_asof(levels.sort("at_ns"), on="at_ns", by="pool", strategy="backward", check_sortedness=False)
        .with_columns(pl.col("level").fill_null(0))
    )
