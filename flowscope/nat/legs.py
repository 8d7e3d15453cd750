"""Flows become legs: what several points saw of one stretch of a connection is one leg.

A leg is a 5-tuple between two translators. Flows of the same tuple and the same client ISN are one leg; a flow without
handshake joins the leg of its tuple whose sequence numbers it continues.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.initiators import oriented
from flowscope.nat.numbers import endpoint
from flowscope.nat.topology import Topology
from flowscope.tables import HALF

_TCP = 6


def with_legs(flows: pl.DataFrame, messages: pl.DataFrame, addresses: pl.DataFrame, topology: Topology) -> pl.DataFrame:
    """Gives every flow its leg and turns all flows of a leg the same way.

    Args:
        flows: the core's flow table.
        messages: the core's message table: who asks is the initiator.
        addresses: the core's address table.
        topology: knows which side of a flow without handshake is the balancer's.

    Returns:
        The flows with ``leg`` (number, by first flow), ``turned`` (true when fwd and rev were exchanged) and
        ``oriented`` (how the leg's initiator is known: 0 by its SYN, 1 by its SYN-ACK, 2 by the topology, by what is
        said or by calls of others, 3 not).
    """
    low, high = endpoint("src"), endpoint("dst")
    # Only what decides; the table is wide, and copies of all of it would cost more than the analysis.
    keyed = flows.select(
        "flow",
        "protocol",
        "oriented_by",
        "first_ns",
        "fwd_isn",
        "rev_isn",
        "fwd_base_seq",
        "rev_base_seq",
        upward=low <= high,
        _src=low,
        _dst=high,
        _low=pl.when(low <= high).then(low).otherwise(high),
        _high=pl.when(low <= high).then(high).otherwise(low),
        _anchor=pl.when(pl.col("protocol") == _TCP).then(pl.col("fwd_isn")),
    )
    several = pl.struct("protocol", "_low", "_high").is_duplicated()
    shared = keyed.filter(several)
    if shared.height:
        grouped = _group(shared).select("flow", "_leg")
        keyed = keyed.join(grouped, "flow", how="left", maintain_order="left")
        keyed = keyed.with_columns(pl.coalesce("_leg", "flow").alias("_leg"))
    else:
        keyed = keyed.with_columns(_leg=pl.col("flow"))
    known = _renumber(oriented(keyed, messages, addresses, topology)).sort("flow")
    # The core hands flows over by number; sorting the wide table again would copy it.
    ordered = flows if flows["flow"].is_sorted() else flows.sort("flow")
    return _turn(ordered.with_columns(known["leg"], known["turned"], known["oriented"]))


def turn_legs(flows: pl.DataFrame, legs: pl.Series) -> pl.DataFrame:
    """Exchanges the halves of all flows of these legs: their joins showed that they went the other way."""
    if not legs.len():
        return flows
    turned = pl.col("leg").is_in(legs.implode())
    flipped = _turn(flows.with_columns(_before=pl.col("turned"), turned=turned))
    return flipped.with_columns(turned=pl.col("_before") ^ pl.col("turned")).drop("_before")


def leg_table(flows: pl.DataFrame) -> pl.DataFrame:
    """The legs, one row each: columns as in :data:`flowscope.tables.LEGS`, and what the matcher reads.

    The flows need ``at_ns``, the time of their first packet on the reference clock.

    Values that points may see differently are combined: the earliest time, the highest TTL (nearest to the sender),
    the first ISN that is known.
    """
    first = ("protocol", "src", "src_port", "dst", "dst_port")
    known = ("fwd_isn", "rev_isn", "fwd_syn_layout", "fwd_syn_window", "oriented")
    upstream_first = pl.col("fwd_ttl_max").fill_null(0).cast(pl.Int16) * -1
    narrow = flows.select("leg", "flow", "at_ns", upstream_first.alias("_far"), *first, *known, _tunnel=_tunnel())
    if flows["leg"].n_unique() == flows.height:
        inside = pl.when(pl.col("_tunnel").is_null()).then(pl.lit([], pl.List(pl.String)))
        tunnels = inside.otherwise(pl.concat_list("_tunnel"))
        return (
            narrow.with_columns(flows=pl.concat_list("flow"), tunnels=tunnels)
            .drop("_far", "flow", "_tunnel")
            .sort("leg")
        )
    ordered = narrow.sort("leg", "_far", "at_ns")
    return (
        ordered.group_by("leg", maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in first),
            pl.col("flow").alias("flows"),
            pl.col("at_ns").min(),
            *(pl.col(name).drop_nulls().first() for name in known),
            # Inner and outer of a tunnel are one leg.
            pl.col("_tunnel").drop_nulls().unique(maintain_order=True).alias("tunnels"),
        )
        .sort("leg")
    )


def _tunnel() -> pl.Expr:
    """The tunnel a flow came out of with its number, null outside of tunnels."""
    number = pl.when(pl.col("tunnel_id") > 0).then(pl.format(" {}", "tunnel_id")).otherwise(pl.lit(""))
    return pl.concat_str("tunnel", number)


def _group(flows: pl.DataFrame) -> pl.DataFrame:
    """Gives ``_leg`` (number of the leg's first flow) to flows that share their tuple with others."""
    tuple_key = ["protocol", "_low", "_high"]
    # The initiator belongs to the key: two hosts may open the same tuple from either end.
    anchored = flows.filter(pl.col("_anchor").is_not_null()).with_columns(
        _leg=pl.col("flow").min().over([*tuple_key, "upward", "_anchor"])
    )
    rest = flows.filter(pl.col("_anchor").is_null())
    if not rest.height:
        return anchored
    loose = rest.with_columns(_leg=_continued(rest, anchored, tuple_key))
    alone = pl.col("_leg").is_null()
    first_of_tuple = pl.col("flow").filter(alone).min().over(tuple_key)
    loose = loose.with_columns(_leg=pl.when(alone).then(first_of_tuple).otherwise(pl.col("_leg")))
    return pl.concat([anchored, loose.select(anchored.columns)])


def _continued(loose: pl.DataFrame, anchored: pl.DataFrame, tuple_key: list[str]) -> pl.Series:
    """For each flow without SYN the leg of its tuple whose numbers it goes on from, else null."""
    legs = anchored.group_by("_leg").agg(
        *(pl.col(name).first() for name in tuple_key),
        pl.col("upward").first().alias("leg_upward"),
        pl.col("fwd_isn").first().alias("leg_isn"),
        pl.col("rev_isn").drop_nulls().first().alias("leg_answer"),
        pl.col("first_ns").min().alias("leg_first"),
    )
    pairs = loose.select("flow", "upward", "first_ns", "fwd_base_seq", "rev_base_seq", *tuple_key).join(legs, tuple_key)
    same = pl.col("upward") == pl.col("leg_upward")
    own = pl.when(same).then("fwd_base_seq").otherwise("rev_base_seq")
    other = pl.when(same).then("rev_base_seq").otherwise("fwd_base_seq")
    from_isn = _distance(own, pl.col("leg_isn"))
    from_answer = _distance(other, pl.col("leg_answer"))
    ahead = pl.coalesce(from_isn, from_answer)
    fits = (ahead < 2**31) & pl.coalesce(from_answer, pl.lit(0)).lt(2**31)
    best = (
        pairs.with_columns(ahead=ahead, away=(pl.col("first_ns") - pl.col("leg_first")).abs())
        .filter(fits.fill_null(value=True))
        .sort("flow", pl.col("ahead").fill_null(2**32), "away")
        .unique("flow", keep="first", maintain_order=True)
    )
    return loose.select("flow").join(best.select("flow", "_leg"), "flow", how="left", maintain_order="left")["_leg"]


def _distance(later: pl.Expr, earlier: pl.Expr) -> pl.Expr:
    """Bytes from one sequence number on to another, modulo 2^32."""
    return (later.cast(pl.Int64) - earlier.cast(pl.Int64)) % 2**32


def _turn(flows: pl.DataFrame) -> pl.DataFrame:
    """Exchanges the halves of the flows that are ``turned``."""
    if not flows["turned"].any():
        return flows
    turned = pl.col("turned")
    pairs = [("src", "dst"), ("src_port", "dst_port")] + [(f"fwd_{name}", f"rev_{name}") for name in HALF]
    swapped = [pl.when(turned).then(b).otherwise(a).alias(a) for a, b in pairs]
    swapped += [pl.when(turned).then(a).otherwise(b).alias(b) for a, b in pairs]
    return flows.with_columns(*swapped)


def _renumber(flows: pl.DataFrame) -> pl.DataFrame:
    if flows["_leg"].is_unique().all():
        return flows.with_columns(leg=pl.int_range(pl.len(), dtype=pl.UInt64))
    order = flows.select("_leg").unique(maintain_order=True).with_row_index("leg")
    return flows.join(order, "_leg", how="left", maintain_order="left").with_columns(pl.col("leg").cast(pl.UInt64))
