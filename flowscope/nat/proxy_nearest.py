"""For each event of a proxy's server side the last few events of the client's side that could have caused it."""

from __future__ import annotations

import polars as pl

#: Causes looked at for each event, and how many that come a little after it: clocks differ.
_REACH = 12
_AHEAD = 3


def earlier(fronts: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """Pairs ``front``, ``back`` of the same key: the last fronts before each back, and the next few after it.

    Costs the same however many share a key; of more than a dozen at once nobody could tell which it was.

    Args:
        fronts: columns ``key``, ``at_ns`` and ``front``.
        backs: columns ``key``, ``at_ns`` and ``back``; keys of the same type.
    """
    schema = {"front": fronts.schema["front"], "back": backs.schema["back"]}
    fronts = fronts.drop_nulls(["key", "at_ns"]).join(backs.select("key").unique(), "key", how="semi")
    backs = backs.drop_nulls(["key", "at_ns"]).join(fronts.select("key").unique(), "key", how="semi")
    if not fronts.height or not backs.height:
        return pl.DataFrame(schema=schema)
    fronts = fronts.sort("key", "at_ns", "front")
    line = pl.concat(
        [
            fronts.select("key", "at_ns", back=pl.lit(None, schema["back"]), behind=pl.lit(0, pl.Int8)),
            backs.select("key", "at_ns", "back", behind=pl.lit(1, pl.Int8)),
        ]
    ).sort("key", "at_ns", "behind")
    # Fronts stand in the line in their own order, so counting them gives each back the place of the one before it.
    line = line.with_columns(place=(pl.col("behind") == 0).cum_sum().cast(pl.Int64) - 1).filter(pl.col("behind") == 1)
    numbers, keys = fronts["front"], fronts["key"]
    found = []
    for step in range(-_AHEAD, _REACH):
        there = line.with_columns(place=pl.col("place") - step).filter(pl.col("place").is_between(0, fronts.height - 1))
        same = keys.gather(there["place"]) == there["key"]
        met = there.filter(same)
        found.append(met.select(numbers.gather(met["place"]).alias("front"), "back"))
    return pl.concat(found).unique(maintain_order=True)


def earlier_with_key(fronts: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """:func:`earlier` for fronts that have several keys: also tells the ``key`` that each pair shares.

    Args:
        fronts: columns ``key``, ``at_ns`` and ``front``; a front may stand in several rows.
        backs: columns ``key``, ``at_ns`` and ``back``.
    """
    both = pl.struct("front", "key").alias("front")
    pairs = earlier(fronts.select("key", "at_ns", both), backs.select("key", "at_ns", "back"))
    return pairs.unnest("front")
