"""Requests whose headers name their client, where the client's side cannot be read: the leg is found by its address."""

from __future__ import annotations

import polars as pl

from flowscope.nat.proxy_nearest import earlier
from flowscope.nat.proxy_sides import could_be_proxied, from_elsewhere
from flowscope.nat.proxy_ties import with_ties
from flowscope.nat.topology import Topology

#: Bits of an address with its port, and of an address that only one open connection has.
_ENDPOINT, _ADDRESS = 24.0, 12.0
_SLACK_NS = 1_000_000


def endpoint_pairs(
    callers: pl.DataFrame,
    sides: pl.DataFrame,
    backs: pl.DataFrame,
    said: pl.DataFrame,
    addresses: pl.DataFrame,
    topology: Topology,
) -> pl.DataFrame:
    """Requests that name address and port of a client: ``back``, ``back_leg``, ``front_leg``, ``bits``, ``margin``.

    Args:
        callers: legs that may be a client's, as :func:`flowscope.nat.proxy_sides.sides` returns them.
        sides: all legs.
        backs: exchanges of legs that may lead to a server.
        said: what they say of their clients, as :func:`flowscope.nat.proxy_exchanges.clients` returns it.
        addresses: the core's address table.
        topology: what is known of the balancer.
    """
    named = said.drop_nulls("client_end")
    pairs = _both_sides(named.join(callers, left_on="client_end", right_on="src_end", coalesce=False), sides, backs)
    open_then = pairs.filter(could_be_proxied(), _open(), pl.col("src_end") != pl.col("src_end_b"))
    best = (
        with_ties(open_then, addresses, topology)
        # Of connections that had the port one after the other the youngest; of several named the nearest.
        .sort("exchange", "place", "start_ns", "leg", descending=[False, False, True, False])
        .unique("exchange", keep="first", maintain_order=True)
    )
    bits = _ENDPOINT + pl.when("expected").then(6.0).otherwise(0.0)
    return best.select(back="exchange", back_leg="leg_b", front_leg="leg", bits=bits, margin=bits)


def address_pairs(
    callers: pl.DataFrame,
    sides: pl.DataFrame,
    fronts: pl.DataFrame,
    backs: pl.DataFrame,
    said: pl.DataFrame,
    addresses: pl.DataFrame,
    topology: Topology,
) -> tuple[pl.DataFrame, pl.Series]:
    """The same for requests that name an address only, and the server legs where several connections fit.

    The client's side must be tied to the server's by the topology or by one host, and hold nothing that could be read
    (``fronts``, the exchanges of client legs, has none of it): else the requests themselves are compared.
    """
    named = said.filter(pl.col("place") == 0).select("exchange", "client").unique()
    unread = callers.join(fronts.select("leg").unique(), "leg", how="anti").filter(pl.col("fwd_data_ns").is_not_null())
    met = earlier(
        unread.select(key="src", at_ns="start_ns", front="leg"),
        named.join(backs.select("exchange", "asked_ns"), "exchange").select(
            key="client", at_ns="asked_ns", back="exchange"
        ),
    ).rename({"back": "exchange"})
    pairs = _both_sides(met.join(sides, left_on="front", right_on="leg", coalesce=False), sides, backs)
    fits = with_ties(pairs.filter(could_be_proxied(), from_elsewhere(), _open()), addresses, topology)
    fits = fits.filter((pl.col("expected") | pl.col("one_host")) & ~pl.col("contradicted"))
    alone = pl.col("leg").n_unique().over("exchange") == 1
    bits = pl.lit(_ADDRESS)
    sure = fits.filter(alone).select(back="exchange", back_leg="leg_b", front_leg="leg", bits=bits, margin=bits)
    return sure, fits.filter(~alone)["leg_b"].unique()


def _both_sides(pairs: pl.DataFrame, sides: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """Adds the request (``asked_ns``) and its leg's side, with ``_b``, to client legs with ``exchange``."""
    asked = backs.select("exchange", "asked_ns", leg_b="leg", asked_slack_ns="slack_ns")
    return pairs.join(asked, "exchange").join(sides.select(pl.all().name.suffix("_b")), "leg_b")


def _open() -> pl.Expr:
    slack = _SLACK_NS + pl.col("slack_ns") + pl.col("asked_slack_ns")
    return (pl.col("start_ns") <= pl.col("asked_ns") + slack) & (pl.col("end_ns") + slack >= pl.col("asked_ns"))
