"""Whose probes those are that are sent to a frontend's own address, which each member holds (direct return).

Passthrough balancers of Google ask each member at the address of the forwarding rule; so does whoever leaves the
address as it is. Nothing in such a packet tells the member, but where it arrives does: at a point that the topology
puts on a member, which answers there in that name. What no such point saw is told by its time
(:mod:`flowscope.probes.rhythm`).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from flowscope.nat.numbers import address_numbers
from flowscope.nat.places import Place
from flowscope.nat.topology import Topology
from flowscope.probes.rhythm import missing_beats

HELD = {"path": pl.UInt64, "member": pl.UInt32}
"""Columns of :func:`held_calls`."""

_TCP = 6
_ASKED = ["client", "frontend", "frontend_port"]


def held_calls(
    paths: pl.DataFrame, flows: pl.DataFrame, places: Mapping[int, Place], addresses: pl.DataFrame, topology: Topology
) -> pl.DataFrame:
    """Calls to a frontend that nothing translated, with the member on which they arrived.

    Args:
        paths: all paths.
        flows: with ``leg``.
        places: of the points.
        addresses: the core's address table.
        topology: its frontends and members; without these nobody knows whose address is whose.
    """
    number = address_numbers(addresses, (one.address for pool in topology.pools for one in pool.members))
    members = set(number.values())
    fronts = address_numbers(addresses, (one.address for one in topology.frontends))
    asked = sorted(set(fronts.values()) - members)
    homes = [
        (place.point, next(iter(place.hosts)))
        for place in places.values()
        if place.sure and len(place.hosts) == 1 and place.hosts <= members
    ]
    if not asked or not homes:
        return pl.DataFrame(schema=HELD)
    schema = {"point": pl.UInt32, "member": pl.UInt32}
    seen = flows.filter(pl.col("protocol") == _TCP, pl.col("dst").is_in(asked)).join(
        pl.DataFrame(homes, schema=schema, orient="row").cast({"point": flows.schema["point"]}), "point"
    )
    # Its own calls to the frontend leave there. Who never answers in that name may pass on what is meant for others.
    direct = {fronts[one.address] for one in topology.frontends if one.mode == "dsr" and one.address in fronts}
    answers = (pl.col("rev_packets") > 0).any().over("member", "dst", "dst_port") | pl.col("dst").is_in(sorted(direct))
    seen = seen.filter(pl.col("src") != pl.col("member"), answers)
    legs = seen.group_by(leg=pl.col("leg").cast(pl.UInt64)).agg(pl.col("member").unique())
    legs = legs.filter(pl.col("member").list.len() == 1).with_columns(pl.col("member").list.first())
    alone = paths.filter(pl.col("legs").list.len() == 1, pl.col("frontend").is_in(asked))
    alone = alone.select(
        pl.col("path").cast(pl.UInt64), *_ASKED, "first_ns", leg=pl.col("legs").list.first().cast(pl.UInt64)
    )
    told = alone.join(legs, "leg", how="left")
    return pl.concat([told.drop_nulls("member").select("path", "member"), _strays(told)]).sort("path")


def _strays(told: pl.DataFrame) -> pl.DataFrame:
    """Calls that no member's point saw, with the member that its even caller would have asked just then."""
    strays = told.filter(pl.col("member").is_null()).join(
        told.drop_nulls("member").select(_ASKED).unique(), _ASKED, how="semi"
    )
    rows = []
    for (client, front, port), own in strays.group_by(_ASKED, maintain_order=True):
        same = (pl.col("client") == client) & (pl.col("frontend") == front) & (pl.col("frontend_port") == port)
        seen = told.filter(same).drop_nulls("member").sort("member", "first_ns")
        members = seen.group_by("member", maintain_order=True).agg("first_ns")
        meant = missing_beats(members["first_ns"].to_list(), own["first_ns"].to_list())
        rows += [
            (path, members["member"][meant[at]]) for path, at in own.select("path", "first_ns").rows() if at in meant
        ]
    return pl.DataFrame(rows, schema=HELD, orient="row")


def at_members(paths: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """The paths, with the member as ``backend`` where the call arrived at a frontend's address that it holds.

    Calls of the same client to the same end that no member's point saw have the frontend as their backend: where they
    got to is not known.
    """
    if not held.height:
        return paths
    told = paths.join(held.with_columns(pl.col("path").cast(paths.schema["path"])), "path", how="left")
    there = pl.col("member").is_not_null()
    beside = there.any().over(_ASKED) & (pl.col("legs").list.len() == 1) & pl.col("backend").is_null()
    return told.with_columns(
        backend=pl.when(there).then("member").when(beside).then("frontend").otherwise("backend"),
        backend_port=pl.when(there | beside).then("frontend_port").otherwise("backend_port"),
    ).drop("member")
