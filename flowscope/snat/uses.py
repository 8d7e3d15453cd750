"""Connections that took a port of a SNAT address, and connections that asked for one and got none.

Seen from both sides a translated path shows its port. From the inside alone a connection of a host behind a known SNAT
address stands for one port, whichever it was. A connection was refused when its SYN came to the place where the
translator takes them from other connections, and no second leg of it left.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import address_numbers
from flowscope.nat.outcomes import PROXIED
from flowscope.nat.topology import Topology
from flowscope.snat.allocation import insiders, stays_inside

_TCP, _UDP = 6, 17
#: Points that see fewer of the first legs as the last before the translator do so because a frame was lost.
_USUAL = 0.1

KEY = ("snat", "protocol", "destination", "destination_port")
"""What one SNAT port can serve once: a SNAT address and, for TCP, an endpoint; for UDP an address."""


_CROSSED = {
    "both": pl.lit(value=True),
    "refused": pl.lit(value=False),
    "outbound": pl.lit(value=True),
    "first_leg": pl.col("legs").list.first(),
}


def port_users(
    paths: pl.DataFrame, legs: pl.DataFrame, flows: pl.DataFrame, addresses: pl.DataFrame, topology: Topology
) -> pl.DataFrame:
    """One row per connection that took a port or was refused one.

    Columns: :data:`KEY`; ``path``, ``inside`` (address number of the host behind the translator), ``snat_port`` (null
    when it was not seen), ``leg`` (the outermost seen), ``outcome``, ``both`` (both sides of the translator were seen),
    ``refused``, ``outbound`` (the destination was not translated).
    """
    translated = paths.filter(
        pl.col("snat").is_not_null(), pl.col("protocol").is_in((_TCP, _UDP)), ~pl.col("method").is_in(PROXIED)
    )
    crossed = _with_destination(translated, legs).select(
        *_columns("snat", "snat_port"),
        both=pl.lit(value=True),
        refused=pl.lit(value=False),
        outbound="outbound",
        first_leg=pl.col("legs").list.first(),
    )
    if not crossed.height and not topology.snats:
        return crossed
    # Only the first leg was seen, and it goes straight to where it was sent: a balancer's frontend may be there.
    alone = paths.filter(
        pl.col("snat").is_null(), pl.col("method") == "single", pl.col("protocol").is_in((_TCP, _UDP))
    ).with_columns(to=pl.coalesce("backend", "frontend"), to_port=pl.coalesce("backend_port", "frontend_port"))
    failed = _refused(_silent(alone, flows), crossed, legs, flows)
    inner = _inner(alone, crossed, flows, addresses, topology)
    halves = _halves(alone, crossed, legs, flows)
    inner = inner.join(pl.concat([failed, halves]), "path", how="anti", maintain_order="left")
    outer = _outer(alone, crossed, addresses, topology).join(halves, "path", how="anti", maintain_order="left")
    return pl.concat([crossed, failed, halves, inner, outer], how="diagonal")


def inside_points(crossed: pl.DataFrame, legs: pl.DataFrame, flows: pl.DataFrame) -> pl.Series:
    """Points right before the translator: the last that see the first legs of translated connections.

    Args:
        crossed: has ``first_leg``.
        legs: the legs, with their flows upstream first.
        flows: by number.
    """
    last = legs.select("leg", flow=pl.col("flows").list.last()).join(
        crossed.select("first_leg"), left_on="leg", right_on="first_leg", how="semi"
    )
    seen = flows["point"].gather(last["flow"]).value_counts()
    return seen.filter(pl.col("count") >= pl.col("count").sum() * _USUAL)["point"]


def _with_destination(translated: pl.DataFrame, legs: pl.DataFrame) -> pl.DataFrame:
    """Adds ``to`` and ``to_port``, whereto the SNAT address called, and ``outbound``: the client had called the same.

    Behind that, a balancer may have sent it on.
    """
    ends = legs.select("leg", "src", "src_port", to="dst", to_port="dst_port")
    along = (
        translated.select("path", "snat", "snat_port", leg="legs")
        .explode("leg")
        .join(ends, "leg", maintain_order="left")
    )
    called = along.group_by("path", maintain_order=True).agg(
        first=pl.col("to").first(), first_port=pl.col("to_port").first()
    )
    own = along.filter(pl.col("src") == pl.col("snat"), pl.col("src_port") == pl.col("snat_port"))
    own = own.unique("path", keep="first", maintain_order=True).join(called, "path")
    own = own.select(
        "path", "to", "to_port",
        outbound=(pl.col("to") == pl.col("first")) & (pl.col("to_port") == pl.col("first_port")),
    )  # fmt: skip
    return translated.join(own, "path", maintain_order="left")


def _columns(snat: str, port: str) -> tuple[pl.Expr, ...]:
    return (
        pl.col("path"),
        pl.col(snat).cast(pl.Int64).alias("snat"),
        pl.col("protocol"),
        pl.col("to").alias("destination"),
        # One port serves all ports of a UDP destination: a port-restricted cone.
        pl.when(pl.col("protocol") == _TCP).then("to_port").alias("destination_port"),
        pl.col("client").alias("inside"),
        pl.col(port).cast(pl.UInt16).alias("snat_port"),
        pl.col("legs").list.last().alias("leg"),
        pl.col("outcome"),
    )


def _silent(alone: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """Paths whose SYN met nothing at all; a bare ACK or a RST shows that it had a port."""
    unanswered = alone.filter((pl.col("protocol") == _TCP) & (pl.col("outcome") == "unanswered")).with_columns(
        _leg=pl.col("legs").list.first()
    )
    answered = flows.lazy().filter(pl.col("rev_packets") > 0, pl.col("leg").is_in(unanswered["_leg"].implode()))
    return unanswered.join(answered.select("leg").unique().collect(), left_on="_leg", right_on="leg", how="anti").drop(
        "_leg"
    )


def _refused(unanswered: pl.DataFrame, crossed: pl.DataFrame, legs: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """Connections that the translator was given and did not forward, to destinations that others reached through it."""
    outbound = crossed.filter("outbound")
    # Many translators keep a host at one address; of a host that reached nobody there only the usual one is known.
    own, usual = _usual_address(outbound, "inside"), _usual_address(outbound)
    here, there = ["to", "to_port"], ["destination", "destination_port"]
    tried = unanswered.join(usual, left_on=here, right_on=there, maintain_order="left").join(
        own.rename({"via": "own"}),
        left_on=["client", *here],
        right_on=["inside", *there],
        how="left",
        maintain_order="left",
    )
    tried = tried.with_columns(via=pl.coalesce("own", "via"))
    if not tried.height:
        return crossed.clear()
    doors = inside_points(outbound, legs, flows)
    seen = (
        tried.select("path", leg=pl.col("legs").list.first()).join(legs.select("leg", "flows"), "leg").explode("flows")
    )
    seen = seen.with_columns(point=flows["point"].gather(seen["flows"]))
    arrived = seen.filter(pl.col("point").is_in(doors.implode()))["path"].unique()
    return tried.filter(pl.col("path").is_in(arrived.implode())).select(
        *_columns("via", "snat_port"),
        both=pl.lit(value=True),
        refused=pl.lit(value=True),
        outbound=pl.lit(value=True),
        first_leg=pl.col("legs").list.first(),
    )


def _usual_address(outbound: pl.DataFrame, *of: str) -> pl.DataFrame:
    """The SNAT address (``via``) that most connections to a destination have, of all or of each host."""
    key = [*of, "destination", "destination_port"]
    counted = outbound.group_by(*key, via="snat").agg(uses=pl.len())
    ordered = counted.sort("uses", "via", descending=[True, False])
    return ordered.unique(key, keep="first", maintain_order=True).drop("uses")


def _halves(alone: pl.DataFrame, crossed: pl.DataFrame, legs: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """Connections that crossed as well, of which one side is missing: its packets were lost to the capture."""
    reached = crossed.filter("outbound").select("snat", "destination", "destination_port", "inside").unique()
    way = ["destination", "destination_port"]
    tcp = alone.filter(pl.col("protocol") == _TCP).with_columns(
        destination="to", destination_port="to_port", leg=pl.col("legs").list.first()
    )
    outer = tcp.join(
        reached.select(*way, client="snat").cast({"client": tcp.schema["client"]}).unique(),
        [*way, "client"],
        how="semi",
    ).select(*_columns("client", "client_port"), **_CROSSED)
    outer = outer.with_columns(inside=pl.lit(None, crossed.schema["inside"]))
    answered = flows.lazy().filter(pl.col("rev_packets") > 0).select("leg").unique().collect()
    doors = inside_points(crossed.filter("outbound"), legs, flows)
    there = flows.lazy().filter(pl.col("point").is_in(doors.implode())).select("leg").unique().collect()
    known = reached.unique([*way, "inside"], keep="first", maintain_order=True)
    inner = (
        tcp.join(answered, "leg", how="semi")
        .join(there, "leg", how="semi")
        .join(known.rename({"inside": "client", "snat": "via"}), [*way, "client"], maintain_order="left")
        .select(*_columns("via", "snat_port"), **_CROSSED)
    )
    # Both halves of one connection may stand alone when nothing joined them: then they are one port.
    spare = outer.group_by(KEY).agg(outer=pl.len())
    inner = inner.join(spare, list(KEY), how="left", nulls_equal=True, maintain_order="left").filter(
        pl.int_range(pl.len()).over(KEY) >= pl.col("outer").fill_null(0)
    )
    return pl.concat([outer, inner.drop("outer")])


def _inner(
    alone: pl.DataFrame, crossed: pl.DataFrame, flows: pl.DataFrame, addresses: pl.DataFrame, topology: Topology
) -> pl.DataFrame:
    """Connections of hosts behind a known SNAT address of which the outside was not captured."""
    if not topology.snats:
        return crossed.clear()
    behind = insiders(topology, addresses, alone["client"].unique())
    # What was captured outside needs no guess.
    behind = {client: snat for client, snat in behind.items() if not (crossed["snat"] == snat).any()}
    if not behind:
        return crossed.clear()
    # A frontend that is called from inside may as well be inside.
    own = alone.filter(pl.col("client").is_in(list(behind)), pl.col("frontend").is_null())
    home = stays_inside(topology, addresses, own["to"].unique())
    silent = _silent(own, flows)["path"]
    return (
        own.filter(~pl.col("to").is_in(list(home)))
        .with_columns(via=pl.col("client").replace_strict(behind, return_dtype=pl.Int64))
        .select(
            *_columns("via", "snat_port"),
            both=pl.lit(value=False),
            refused=pl.col("path").is_in(silent.implode()),
            outbound=pl.lit(value=True),
            first_leg=pl.col("legs").list.first(),
        )
    )


def _outer(alone: pl.DataFrame, crossed: pl.DataFrame, addresses: pl.DataFrame, topology: Topology) -> pl.DataFrame:
    """Connections of a known SNAT address of which the inside was not captured: each shows its port."""
    known = address_numbers(addresses, (one.address for one in topology.snats))
    # What was captured inside says more.
    outside = sorted({*known.values()} - {*crossed["snat"]})
    if not outside:
        return crossed.clear()
    return (
        alone.filter(pl.col("client").is_in(outside))
        .select(
            *_columns("client", "client_port"),
            both=pl.lit(value=False),
            refused=pl.lit(value=False),
            outbound=pl.lit(value=True),
            first_leg=pl.col("legs").list.first(),
        )
        .with_columns(inside=pl.lit(None, crossed.schema["inside"]))
    )
