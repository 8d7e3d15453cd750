"""Server connections that a proxy keeps for one client each: what they served once says whom they serve the next time.

Many proxies open connections for a client's connection and use them for no other (HAProxy's ``http-reuse never``, each
connection of a TCP proxy). Whether one does is read from the requests that are clear, and then decides between those
that are not.
"""

from __future__ import annotations

import polars as pl

#: So many connections that served several requests must each have served one client, and none several.
_ENOUGH = 5


def without_strangers(pairs: pl.DataFrame, believed: pl.DataFrame, sides: pl.DataFrame) -> pl.DataFrame:
    """The pairs that go with what is believed: no second client on a connection that is kept for one.

    Args:
        pairs: of requests, as :func:`flowscope.nat.proxy_request.request_pairs` returns them.
        believed: those of them that are settled, as :func:`flowscope.nat.proxy_choice.chosen` returns them.
        sides: as :func:`flowscope.nat.proxy_sides.sides` returns them.
    """
    called = sides.select("leg", "dst_end")
    served = believed.join(called, left_on="front_leg", right_on="leg")
    per_leg = served.group_by("back_leg").agg(
        dst_end=pl.col("dst_end").first(),
        owner=pl.col("front_leg").first(),
        clients=pl.col("front_leg").n_unique(),
        frontends=pl.col("dst_end").n_unique(),
        requests=pl.col("back").n_unique(),
    )
    telling = served.join(per_leg.filter(pl.col("requests") >= 2).drop("dst_end"), "back_leg").unique(
        ["back_leg", "dst_end"]
    )
    keeping = telling.group_by("dst_end").agg(
        legs=pl.len(), alone=((pl.col("clients") == 1) & (pl.col("frontends") == 1)).all()
    )
    keeping = keeping.filter("alone", pl.col("legs") >= _ENOUGH).select("dst_end", keeps=pl.lit(value=True))
    if not keeping.height:
        return pairs
    # Of a connection that served clients of such a frontend and of another nothing is known.
    owned = per_leg.join(keeping, "dst_end").filter(pl.col("clients") == 1).select("back_leg", "owner")
    known = (
        pairs.join(called, left_on="front_leg", right_on="leg", how="left", maintain_order="left")
        .join(keeping, "dst_end", how="left", maintain_order="left")
        .join(owned, "back_leg", how="left", maintain_order="left")
        .join(
            per_leg.select("back_leg", first="owner", several="clients"), "back_leg", how="left", maintain_order="left"
        )
    )
    # The connection is another client's, or the client's frontend shares none and this one served others.
    taken = (pl.col("owner") != pl.col("front_leg")).fill_null(value=False)
    shared = pl.col("keeps").fill_null(value=False) & (
        (pl.col("first") != pl.col("front_leg")) | (pl.col("several") > 1)
    ).fill_null(value=False)
    return known.filter(~taken & ~shared).select(pairs.columns)
