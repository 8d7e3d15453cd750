"""Which side of a connection opened it: its handshake says so, else what is known of others, else its first packet."""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import endpoint_numbers
from flowscope.nat.topology import Topology

_TCP, _UDP = 6, 17
#: Messages of who opened the connection, and of who was called.
_QUESTIONS = ("http-request", "tls-client-hello", "dns-query")
_ANSWERS = ("http-response", "tls-server-hello", "dns-response")
#: An end that so many others speak to first, and that speaks first to so few of them, is a service.
_OTHERS, _SHARE = 3, 0.25
_RANK = {"syn": 0, "syn-ack": 1, "first": 3}


def oriented(flows: pl.DataFrame, messages: pl.DataFrame, addresses: pl.DataFrame, topology: Topology) -> pl.DataFrame:
    """Decides for each leg which side is the initiator; adds ``turned`` and ``oriented``.

    Args:
        flows: columns ``flow``, ``protocol``, ``oriented_by``, ``first_ns``, ``upward``, ``_leg``, ``_src``, ``_dst``
            as :func:`flowscope.nat.legs.with_legs` makes them, which also says what is returned.
        messages: the core's message table.
        addresses: the core's address table.
        topology: what is known of the balancer.
    """
    rank = pl.col("oriented_by").replace_strict(_RANK, return_dtype=pl.Int8, default=3)
    flows = flows.with_columns(_rank=rank, _initiator_low="upward")
    if topology:
        flows = _towards(flows, _served(addresses, topology))
    if (flows["_rank"] == 3).any():
        flows = _asking(flows, messages)
        flows = _towards(flows, _called(flows), pl.col("protocol") == _TCP)
        flows = _towards(flows, _mostly_called(flows), pl.col("protocol") == _UDP)
        flows = _among_peers(flows)
    if flows["_leg"].n_unique() != flows.height:
        best = (
            flows.sort("_rank", "first_ns", "flow")
            .unique("_leg", keep="first", maintain_order=True)
            .select("_leg", pl.col("_initiator_low").alias("_decided"), oriented="_rank")
        )
        flows = flows.join(best, "_leg", how="left", maintain_order="left")
    else:
        flows = flows.with_columns(_decided=pl.col("_initiator_low"), oriented=pl.col("_rank"))
    return flows.with_columns(turned=pl.col("upward") != pl.col("_decided")).drop("_rank", "_initiator_low", "_decided")


def _towards(flows: pl.DataFrame, services: pl.Series, where: pl.Expr | None = None) -> pl.DataFrame:
    """Turns flows of which nothing else is known towards the side that is a service."""
    to_service, from_service = (pl.col(side).is_in(services.implode()) for side in ("_dst", "_src"))
    guess = (pl.col("_rank") == 3) & (to_service ^ from_service)
    guess = guess if where is None else guess & where
    return flows.with_columns(
        _rank=pl.when(guess).then(pl.lit(2, pl.Int8)).otherwise("_rank"),
        _initiator_low=pl.when(guess & from_service).then(~pl.col("upward")).otherwise("_initiator_low"),
    )


def _asking(flows: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """Turns flows of which nothing else is known so that who asks is the initiator, and who answers is not."""
    # Multicast DNS answers without a question, and has no ids (RFC 6762, section 18.1).
    nobody_asked = (pl.col("kind") == "dns-response") & (pl.col("token") == "0000")
    said = messages.filter(pl.col("kind").is_in([*_QUESTIONS, *_ANSWERS]), ~nobody_asked.fill_null(value=False))
    if not said.height:
        return flows
    asks = pl.col("half") ^ pl.col("kind").is_in(_ANSWERS).cast(pl.UInt8)
    asker = said.group_by("flow").agg(_asks=asks.first())
    known = flows.join(asker, "flow", how="left", maintain_order="left")
    guess = (pl.col("_rank") == 3) & pl.col("_asks").is_not_null()
    return known.with_columns(
        _rank=pl.when(guess).then(pl.lit(2, pl.Int8)).otherwise("_rank"),
        _initiator_low=pl.when(guess).then(pl.col("upward") ^ (pl.col("_asks") == 1)).otherwise("_initiator_low"),
    ).drop("_asks")


def _called(flows: pl.DataFrame) -> pl.Series:
    """Endpoints that others were seen to call and that call nobody, as numbers of :func:`endpoint`."""
    opened = flows.filter(pl.col("protocol") == _TCP, pl.col("_rank") <= 1)
    called = opened["_dst"].unique()
    return called.filter(~called.is_in(opened["_src"].unique().implode()))


def _among_peers(flows: pl.DataFrame) -> pl.DataFrame:
    """Turns flows of which nothing else is known from the end with one peer towards the end with several.

    A client takes a port for each connection, so that its ends have one peer each. That is usual, no proof: such flows
    stay unknown to those who know better.
    """
    unknown = flows.filter(pl.col("_rank") == 3, pl.col("protocol") == _TCP).select("flow", "_src", "_dst")
    if not unknown.height:
        return flows
    tcp = flows.filter(pl.col("protocol") == _TCP)
    ends = pl.concat([tcp.select(end="_src", peer="_dst"), tcp.select(end="_dst", peer="_src")])
    ends = ends.filter(pl.col("end").is_in(pl.concat([unknown["_src"], unknown["_dst"]]).unique().implode()))
    peers = ends.group_by("end").agg(pl.col("peer").n_unique())
    counted = unknown.join(peers.rename({"end": "_src", "peer": "callers"}), "_src").join(
        peers.rename({"end": "_dst", "peer": "peers"}), "_dst"
    )
    opener = pl.col("_src").is_in(tcp.filter(pl.col("_rank") <= 1)["_src"].unique().implode())
    answered = counted.filter(pl.col("callers") > 1, pl.col("peers") == 1, ~opener)["flow"]
    return flows.with_columns(_initiator_low=pl.col("_initiator_low") ^ pl.col("flow").is_in(answered.implode()))


def _mostly_called(flows: pl.DataFrame) -> pl.Series:
    """Endpoints of datagrams that others nearly always speak to first: of some the first datagram was lost."""
    sent = flows.filter(pl.col("protocol") == _UDP)
    called = sent.group_by(end="_dst").agg(others=pl.col("_src").n_unique())
    calling = sent.group_by(end="_src").agg(spoken=pl.col("_dst").n_unique())
    both = called.filter(pl.col("others") >= _OTHERS).join(calling, "end", how="left")
    return both.filter(pl.col("spoken").fill_null(0) <= _SHARE * pl.col("others"))["end"]


def _served(addresses: pl.DataFrame, topology: Topology) -> pl.Series:
    """Endpoints that the topology knows as frontend or member, as numbers of :func:`endpoint`."""
    members = [(member.address, member.port) for pool in topology.pools for member in pool.members]
    return endpoint_numbers(addresses, [*((one.address, one.port) for one in topology.frontends), *members])
