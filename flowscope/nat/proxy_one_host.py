"""Whether calls from an address that is called itself are a proxy's, or a service's that has calls of its own to make.

One request that happens to lie inside another of the same line is chance as long as others of the kind come and none
goes out, or go out and none came.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.proxy_presumed import BACKS_SERVED, FRONTS_SERVED, kind

#: Bits of an identifier that tie by themselves.
_TELLING = 8.0
_GROUP = ["dst_end", "src_b"]


def without_own_calls(
    pairs: pl.DataFrame, sides: pl.DataFrame, fronts: pl.DataFrame, backs: pl.DataFrame
) -> pl.DataFrame:
    """The pairs without those that only one address ties, where too few calls of their kind have a partner.

    Args:
        pairs: of requests, scored as :func:`flowscope.nat.proxy_request.request_pairs` scores them.
        sides: as :func:`flowscope.nat.proxy_sides.sides` returns them.
        fronts: exchanges of legs that may be a client's.
        backs: exchanges of legs that may lead to a server.
    """
    weak = (
        pl.col("one_host")
        & ~pl.col("expected")
        & ~pl.col("presumed")
        & pl.col("client_bits").is_null()
        & (pl.col("id_bits").fill_null(0.0) < _TELLING)
    )
    tied = pairs.filter(weak, pl.col("bits") > 0).with_columns(kind=kind())
    if not tied.height:
        return pairs
    known = sides.select("leg", "src", "dst_end")
    times = pl.concat([one.select("point", "asked_ns") for one in (fronts, backs)])
    times = times.group_by("point").agg(since=pl.col("asked_ns").min(), until=pl.col("asked_ns").max())
    asked, called = (
        one.join(known, "leg")
        .join(times, "point")
        .select("exchange", "src", "dst_end", "asked_ns", "since", "until", kind=kind())
        for one in (fronts, backs)
    )
    kinds = tied.select(*_GROUP, "kind").unique()
    came = kinds.join(asked.drop("src"), ["dst_end", "kind"])
    went = kinds.join(called.drop("dst_end"), left_on=["src_b", "kind"], right_on=["src", "kind"])
    # Captures may begin and end at different times: only what both could have seen counts.
    spans = [one.group_by(_GROUP).agg(pl.col("since").min(), pl.col("until").max()) for one in (came, went)]
    both = (
        spans[0]
        .join(spans[1], _GROUP, suffix="_b")
        .select(*_GROUP, since=pl.max_horizontal("since", "since_b"), until=pl.min_horizontal("until", "until_b"))
    )
    shares = both.select(*_GROUP)
    for name, side, calls in (("came", "front", came), ("went", "back", went)):
        inside = calls.drop("since", "until").join(both, _GROUP)
        inside = inside.filter(pl.col("asked_ns").is_between("since", "until"))
        share = pl.col("exchange").is_in(tied[side].unique().implode()).mean()
        shares = shares.join(inside.group_by(_GROUP).agg(share.alias(name)), _GROUP, how="left")
    enough = shares.filter(pl.col("came") >= FRONTS_SERVED, pl.col("went") >= BACKS_SERVED)
    believed = pairs.join(
        enough.select(*_GROUP, believed=pl.lit(value=True)), _GROUP, how="left", maintain_order="left"
    )
    return believed.filter(~weak | pl.col("believed").fill_null(value=False)).drop("believed")
