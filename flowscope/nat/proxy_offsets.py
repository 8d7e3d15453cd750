"""Clocks on a proxy's two sides, once it is known which of its connections belong together.

No packet is on both sides, but a proxy opens its connection after the client did, and passes the server's first bytes
on after they came: so the difference of the clocks lies between the two, as between the two ways of a handshake.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.clock_samples import meanwhile
from flowscope.nat.clocks import Clocks
from flowscope.nat.proxy_clocks import id_crossings
from flowscope.nat.proxy_exchanges import exchanges
from flowscope.nat.proxy_sides import on_islands, sides

#: Order and time alone rest on the clocks; they cannot correct them.
_BLIND = "timing"


def across_proxies(
    clocks: Clocks, proxied: pl.DataFrame, legs: pl.DataFrame, flows: pl.DataFrame, messages: pl.DataFrame
) -> Clocks:
    """The clocks with those behind proxies on the reference as well.

    Args:
        clocks: as :func:`flowscope.nat.clocks.read_clocks` returns them.
        proxied: as :func:`flowscope.nat.proxies.join_proxied` returns them.
        legs: as :func:`flowscope.nat.legs.leg_table` returns them.
        flows: with ``leg`` and ``at_ns``.
        messages: the core's message table.
    """
    joins = proxied.drop_nulls("before").filter(pl.col("method") != _BLIND)
    if not joins.height or len({clock.island for clock in clocks.by_point.values()}) < 2:
        return clocks
    # The proxy stands behind the last point of the client's side and before the first of the server's.
    asked, passed = (on_islands(exchanges(messages, flows, clocks, at), clocks) for at in ("last", "first"))
    openings = _openings(joins, legs, flows, clocks, messages, asked)
    return clocks.across(pl.concat([openings, _requests(joins, asked), _crossed(joins, asked, passed)]))


def _openings(
    joins: pl.DataFrame,
    legs: pl.DataFrame,
    flows: pl.DataFrame,
    clocks: Clocks,
    messages: pl.DataFrame,
    asked: pl.DataFrame,
) -> pl.DataFrame:
    """What connections that were opened one for the other tell."""
    # A connection that serves several says of none when it was passed on; what else it carried may not have been told
    # apart.
    joins = joins.filter(pl.len().over("leg") == 1, pl.len().over("before") == 1)
    turns = asked.group_by("leg").agg(turns=pl.len().cast(pl.UInt32))
    joins = joins.join(turns, "leg", how="left").join(turns, left_on="before", right_on="leg", how="left", suffix="_b")
    all_told = (pl.col("turns") == pl.col("requests")) & (pl.col("turns_b") == pl.col("requests"))
    joins = joins.filter((pl.col("method") != "proxy-request") | all_told.fill_null(value=False))
    columns = ("leg", "island", "slack_ns", "start_ns", "fwd_data_ns", "rev_data_ns")
    known = sides(legs, flows, clocks).select(columns)
    pairs = joins.select("leg", "before", "method").join(known, left_on="before", right_on="leg")
    pairs = pairs.join(known, "leg", suffix="_b").filter(pl.col("island") != pl.col("island_b"))
    # A request is passed on after it came. A PROXY header may go ahead of the client's bytes.
    headed = flows["leg"].gather(messages.filter(pl.col("kind").is_in(["proxy-v1", "proxy-v2"]))["flow"]).implode()
    request_first = (pl.col("method") == "proxy-request") & ~pl.col("leg").is_in(headed)
    passed_on = pl.when(request_first).then(pl.col("fwd_data_ns_b") - pl.col("fwd_data_ns"))
    ahead = pl.coalesce(passed_on, pl.col("start_ns_b") - pl.col("start_ns"))
    return _samples(
        pairs.with_columns(ahead_ns=ahead, behind_ns=pl.col("rev_data_ns") - pl.col("rev_data_ns_b")),
        pl.col("rev_data_ns") - pl.col("start_ns"),
    )


def _requests(joins: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """What requests tell that carry a value across, of several clients on one connection too."""
    slack = asked.select("leg", "slack_ns").unique("leg", keep="first", maintain_order=True)
    pairs = id_crossings(asked).join(
        joins.select("before", "leg"), left_on=["leg", "leg_b"], right_on=["before", "leg"]
    )
    pairs = pairs.join(slack, "leg").join(slack, left_on="leg_b", right_on="leg", suffix="_b")
    timed = pairs.with_columns(start_ns="asked_ns", start_ns_b=pl.col("asked_ns") + pl.col("ahead_ns"))
    return _samples(timed, pl.col("answered_ns") - pl.col("asked_ns"))


def _crossed(joins: pl.DataFrame, asked: pl.DataFrame, passed: pl.DataFrame) -> pl.DataFrame:
    """What each request tells that is paired beyond doubt: of several clients on one connection too."""
    pairs = joins.select("crossed").explode("crossed").drop_nulls("crossed").unnest("crossed")
    columns = ("island", "slack_ns", "asked_ns", "answered_ns")
    pairs = pairs.join(asked.select(*columns, front="exchange"), "front").join(
        passed.select(*columns, back="exchange"), "back", suffix="_b"
    )
    pairs = pairs.filter(pl.col("island") != pl.col("island_b")).with_columns(
        start_ns="asked_ns",
        start_ns_b="asked_ns_b",
        ahead_ns=pl.col("asked_ns_b") - pl.col("asked_ns"),
        behind_ns=pl.col("answered_ns") - pl.col("answered_ns_b"),
    )
    return _samples(pairs, pl.col("answered_ns") - pl.col("asked_ns"))


def _samples(pairs: pl.DataFrame, wait_ns: pl.Expr) -> pl.DataFrame:
    """As :meth:`flowscope.nat.clocks.Clocks.across` reads them."""
    # Less than no time inside the proxy: the first bytes of one side were not captured.
    inside = pl.col("ahead_ns") + pl.col("behind_ns")
    slack = pl.col("slack_ns") + pl.col("slack_ns_b")
    return (
        pairs.drop_nulls(["ahead_ns", "behind_ns"])
        .filter(inside >= 0)
        .select(
            "island",
            "island_b",
            at_ns="start_ns",
            at_ns_b="start_ns_b",
            offset_ns=(pl.col("ahead_ns") - pl.col("behind_ns")) // 2,
            doubt_ns=inside // 2 + 1 + slack + meanwhile(wait_ns),
        )
    )
