"""From pairs that may be one request to the pairs that are: each request served once, and no guess between equals."""

from __future__ import annotations

import polars as pl

#: Bits a pair needs, and bits by which it must beat one with another leg.
_ENOUGH = 14.0
_MARGIN = 3.0
#: Each round settles what the last one made clear.
_ROUNDS = 12


def chosen(pairs: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """The pairs that are believed, and the server legs with a request that fits several as well.

    The pairs have ``margin`` and ``runner_up``, the client's leg that fits a request next best.

    Args:
        pairs: as :func:`flowscope.nat.proxy_request.request_pairs` returns them.
    """
    left = _nearest_in_chain(_one_way(pairs)).filter(pl.col("bits") >= _ENOUGH - _MARGIN)
    found = [left.clear().with_columns(margin=pl.lit(0.0), runner_up=pl.lit(None, pl.UInt64))]
    for _ in range(_ROUNDS):
        clear = _clear(left)
        if not clear.height:
            break
        found.append(clear.select(found[0].columns))
        # A request that was answered is done; one whose server said nothing may have been tried at another.
        done = clear.filter("answered").select("front")
        left = left.join(clear.select("back"), "back", how="anti")
        left = pl.concat([left.filter("proof"), left.filter(~pl.col("proof")).join(done, "front", how="anti")])
    believed = pl.concat(found)
    unsure = left.filter(pl.col("bits") >= _ENOUGH)["back_leg"].unique()
    return believed, unsure.filter(~unsure.is_in(believed["back_leg"].implode()))


def _clear(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs whose front is clearly the best of their back, and which no other back claims as well."""
    if not pairs.height:
        return pairs.with_columns(margin=pl.lit(0.0), runner_up=pl.lit(None, pl.UInt64))
    best = _ahead(pairs, "back", "front_leg").rename({"next": "runner_up"}).filter(pl.col("margin") >= _MARGIN)
    proven = best.filter("proof")
    # A client's request goes to one server: of several that claim it, one must be clearly nearer.
    single = _ahead(best.filter(~pl.col("proof")).rename({"margin": "own"}), "front", "back")
    single = single.filter(pl.col("margin") >= _MARGIN).with_columns(margin="own").drop("own", "next")
    # What is not enough to be believed is a rival all the same.
    return pl.concat([proven, single.select(proven.columns)]).filter(pl.col("bits") >= _ENOUGH)


def _ahead(pairs: pl.DataFrame, of: str, rival: str) -> pl.DataFrame:
    """The best pair of each ``of``, and its ``margin`` over the best one with another ``rival``, which is ``next``."""
    ranked = pairs.sort(of, "bits", "front", "back", descending=[False, True, True, False])
    ranked = ranked.with_columns(
        place=pl.int_range(pl.len()).over(of),
        first=pl.col(rival).first().over(of),
        best=pl.col("bits").first().over(of),
    )
    behind = ranked.filter(pl.col(rival) != pl.col("first")).group_by(of, maintain_order=True)
    others = behind.agg(second=pl.col("bits").first(), next=pl.col(rival).first())
    best = ranked.filter(pl.col("place") == 0).join(others, of, how="left", maintain_order="left")
    margin = pl.col("best") - pl.col("second").fill_null(0.0)
    return best.with_columns(margin=margin).select(*pairs.columns, "margin", "next")


def _one_way(pairs: pl.DataFrame) -> pl.DataFrame:
    """Of a pair and the same pair turned round the better one: what crosses does not say in which direction."""
    turned = pairs.select(
        front_leg="back_leg", front_turn="back_turn", back_leg="front_leg", back_turn="front_turn", turned="bits"
    )
    both = pairs.join(turned, ["front_leg", "front_turn", "back_leg", "back_turn"], how="left", maintain_order="left")
    return both.filter((pl.col("bits") > pl.col("turned")).fill_null(value=True)).drop("turned")


def _nearest_in_chain(pairs: pl.DataFrame) -> pl.DataFrame:
    """Leaves out pairs that skip a proxy: where a pairs with b and b with c, a does not pair with c.

    Where b called the host that c comes from and a did not, less will do to pair b with c.
    """
    # By turn: seen at another point, the exchange has another number.
    step = pairs.select("front", "back", "front_leg", "front_turn", "back_leg", "back_turn", "bits", "one_host")
    first = step.filter(pl.col("bits") >= _ENOUGH)
    then = step.filter((pl.col("bits") >= _ENOUGH) | (pl.col("one_host") & (pl.col("bits") > 0)))
    middle = first.join(
        then, left_on=["back_leg", "back_turn"], right_on=["front_leg", "front_turn"], suffix="_next"
    ).select("front", back="back_next", sure=pl.col("bits_next") >= _ENOUGH)
    skips = middle.join(pairs.select("front", "back", "one_host"), ["front", "back"])
    skips = skips.filter(pl.col("sure") | ~pl.col("one_host")).select("front", "back").unique()
    return pairs.join(skips, ["front", "back"], how="anti")
