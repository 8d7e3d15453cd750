"""Probes of one address that several hosts hold, told apart by where they arrived, where no topology names the hosts.

Two points that never see the same call may each stand on a host of that address, or on two ways to one host. On the
capture of a host itself packet types say which; else the pace does: a prober keeps its interval towards each host, and
what two ways share out among them is not even.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from flowscope.nat.places import INITIAL_TTLS, Place
from flowscope.probes.rhythm import missing_beats
from flowscope.probes.shape import paced

APART = {"path": pl.UInt64, "member": pl.UInt32, "host": pl.UInt32}
"""Columns of :func:`hosts_apart`: the host's own address where it is known, else the one that was asked; and its
point."""

_ASKED = ["client", "backend", "backend_port"]
_SCHEMA = pl.Schema(APART)
_POINT = APART["host"]
_WHOEVER = pl.lit(0, _POINT)


def hosts_apart(probes: pl.DataFrame, flows: pl.DataFrame, places: Mapping[int, Place]) -> pl.DataFrame:
    """The probes that went to one of several hosts with one address.

    Args:
        probes: paths of probers, with the asked address as ``backend``.
        flows: with ``leg`` and ``at_ns``.
        places: of the points.
    """
    none = pl.DataFrame(schema=_SCHEMA)
    if len(places) < 2 or not probes.height:
        return none
    calls = probes.filter(pl.col("legs").list.len() == 1).select(
        pl.col("path").cast(pl.UInt64), *_ASKED, "first_ns", leg=pl.col("legs").list.first().cast(pl.UInt64)
    )
    legs = pl.col("leg").cast(pl.UInt64)
    seen = flows.select(legs, "point", at="at_ns").join(calls, "leg").sort("first_ns", "path")
    # Where each point saw all calls there is nothing to tell.
    everywhere = pl.col("point").n_unique().over("leg") == pl.col("point").n_unique().over(_ASKED)
    seen = seen.filter(~everywhere.all().over(_ASKED))
    found = [_told(own, flows, places) for _, own in seen.group_by(_ASKED, maintain_order=True)]
    return pl.concat([none, *found]).sort("path")


def _told(seen: pl.DataFrame, flows: pl.DataFrame, places: Mapping[int, Place]) -> pl.DataFrame:
    """Of one prober's probes of one address, those that arrived at one of several hosts."""
    legs = {int(point): set(own["leg"]) for (point,), own in seen.group_by("point", maintain_order=True)}
    # The nearest to the host saw the fewest of them: what is before it saw those of others, too.
    hosts = [
        point
        for point, own in legs.items()
        if all(not own & other or (len(own), -point) < (len(other), -at) for at, other in legs.items() if at != point)
    ]
    there = seen.filter(pl.col("point").is_in(hosts)).unique("path", keep="first", maintain_order=True)
    strays = seen.join(there, "path", how="anti").unique("path", keep="first", maintain_order=True)
    series = there.group_by("point", maintain_order=True).agg("first_ns")
    meant = missing_beats(series["first_ns"].to_list(), strays["first_ns"].to_list())
    filled = strays.filter(pl.col("first_ns").is_in(list(meant)))
    filled = filled.with_columns(
        point=pl.Series([series["point"][meant[at]] for at in filled["first_ns"]], dtype=_POINT)
    )
    # What none of these hosts lacks went to one that was not captured, if it is even, too.
    other = paced(strays.join(filled, "path", how="anti").with_columns(client=_WHOEVER)).select(seen.columns)
    return _placed(there, filled, other, flows, places)


def _placed(
    there: pl.DataFrame, filled: pl.DataFrame, other: pl.DataFrame, flows: pl.DataFrame, places: Mapping[int, Place]
) -> pl.DataFrame:
    """What arrived at hosts, what was meant for them, and what went to another: as :data:`APART`, if that is sure."""
    told = pl.concat([there, other])
    asked, hosts = int(told["backend"][0]), told["point"].unique(maintain_order=True).to_list()
    spans = told.group_by("point").agg(start=pl.col("first_ns").min(), end=pl.col("first_ns").max())
    together = int(str(spans["start"].max())) < int(str(spans["end"].min()))
    on_them = all(places[point].sure and asked in places[point].hosts for point in hosts)
    even = paced(pl.concat([told, filled.select(told.columns)]).with_columns(client="point"))
    if len(hosts) < 2 or not together or not (on_them or even.height == told.height + filled.height):
        return pl.DataFrame(schema=_SCHEMA)
    own = {point: _own_address(flows, point, asked) or asked for point in there["point"].unique()}
    rows = [
        (path, own.get(point, asked), point) for path, point in pl.concat([told, filled]).select("path", "point").rows()
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _own_address(flows: pl.DataFrame, point: int, asked: int) -> int | None:
    """The one other address that takes part in all else that a point saw, with an initial TTL."""
    here = flows.filter(pl.col("point") == point, pl.col("src") != asked, pl.col("dst") != asked)
    rest = here.filter(pl.col("src") != pl.col("dst"), pl.col("tunnel").is_null())
    sides = [
        rest.select("flow", address=own, other=away, low=f"{half}_ttl_min", high=f"{half}_ttl_max")
        for own, away, half in (("src", "dst", "fwd"), ("dst", "src", "rev"))
    ]
    told = (
        pl.concat(sides)
        .group_by("address")
        .agg(pl.len(), pl.col("low").min(), pl.col("high").max(), others=pl.col("other").n_unique())
    )
    told = told.filter(
        pl.col("len") == rest.height,
        pl.col("others") > 1,
        pl.col("low") == pl.col("high"),
        pl.col("high").is_in(INITIAL_TTLS),
    )
    return int(told["address"][0]) if told.height == 1 else None
