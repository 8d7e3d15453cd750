"""Probes that say nothing of themselves, told by their shape: one source asks several members, evenly.

Whoever polls servers at an even pace looks alike, so what is found here is a guess: it takes members that are known as
such, a source that calls nobody else at that port and no frontend at all, and the same pace towards each. A client's
calls through a balancer that takes its members in turn reach each of them evenly, too; at a port that serves clients
only calls count that would have been seen in front of the balancer, had they come through it.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import address_numbers
from flowscope.nat.topology import Topology

#: Calls of one endpoint that it takes: fewer pauses are even by chance.
_ENOUGH = 5
#: Pauses of an even pace differ by less than this share of their median,
_EVEN = 0.25
#: most of them at least: a probe may be late, or missing from the capture.
_MOSTLY = 0.8
#: or all of them scatter around their mean by less than this share of it.
_SCATTER = 0.2
#: So many calls through the frontend show that those of this time were captured in front of it, too.
_SEEN_IN_FRONT = 3
_MEMBERS = 2

_SERIES = ["client", "backend", "backend_port"]
_ASKING = ["client", "backend_port"]
_END = ["backend", "backend_port"]


def paced(calls: pl.DataFrame, least: int = _ENOUGH) -> pl.DataFrame:
    """The calls of series with an even pace, with it as ``pace_ns``.

    Args:
        calls: paths with ``client``, ``backend``, ``backend_port`` and ``first_ns``.
        least: calls that a series must have.
    """
    pauses = calls.sort("first_ns").with_columns(pause=pl.col("first_ns").diff().over(_SERIES))
    pauses = pauses.with_columns(pace_ns=pl.col("pause").median().over(_SERIES))
    far = (pl.col("pause") - pl.col("pace_ns")).abs()
    told = pauses.group_by(_SERIES).agg(
        pl.col("pace_ns").first(),
        count=pl.len(),
        even=(far <= pl.col("pace_ns") * _EVEN).mean(),
        scatter=pl.col("pause").std() / pl.col("pause").mean(),
    )
    evenly = (pl.col("even") >= _MOSTLY) | (pl.col("scatter") <= _SCATTER)
    even = told.filter(pl.col("count") >= least, pl.col("pace_ns") > 0, evenly)
    return calls.join(even.select(*_SERIES, "pace_ns"), _SERIES, maintain_order="left")


def shaped(calls: pl.DataFrame, paths: pl.DataFrame, addresses: pl.DataFrame, topology: Topology) -> pl.DataFrame:
    """The calls that look like a prober's.

    Args:
        calls: paths that nothing else tells to be probes.
        paths: all TCP paths.
        addresses: the core's address table.
        topology: its members and frontends, where it has any; else what translated paths show.
    """
    through = paths.filter(pl.col("frontend").is_not_null(), pl.col("backend").is_not_null())
    members, fronts = _ends(addresses, topology)
    members = members if members.height else through.select(_END).unique()
    own = members["backend"].implode()
    one_leg = pl.col("legs").list.len() == 1
    direct = calls.filter(one_leg, pl.col("backend").is_in(own), ~pl.col("client").is_in(own))
    if not direct.height:
        return calls.clear()
    called = pl.col("frontend").is_not_null() | pl.col("backend").is_in(fronts.implode())
    elsewhere = paths.filter(~pl.col("backend").is_in(own))
    direct = direct.join(paths.filter(called).select("client").unique(), "client", how="anti")
    direct = direct.join(elsewhere.select(_ASKING).unique(), _ASKING, how="anti")
    direct = direct.join(_in_doubt(direct, calls, through, members), _SERIES, how="anti")
    even = paced(direct)
    usual = pl.col("pace_ns").median().over(_ASKING)
    alike = even.filter((pl.col("pace_ns") - usual).abs() <= usual * _EVEN)
    several = pl.col("backend").n_unique().over(_ASKING) >= _MEMBERS
    return alike.filter(several).select(calls.columns)


def _ends(addresses: pl.DataFrame, topology: Topology) -> tuple[pl.DataFrame, pl.Series]:
    """Members of the topology as ``backend`` and ``backend_port``, and the addresses of its frontends."""
    listed = [member for pool in topology.pools for member in pool.members]
    number = address_numbers(addresses, [*(m.address for m in listed), *(one.address for one in topology.frontends)])
    ends = [(number[one.address], one.port) for one in listed if one.address in number]
    fronts = [number[one.address] for one in topology.frontends if one.address in number]
    schema = {"backend": pl.UInt32, "backend_port": pl.UInt16}
    return pl.DataFrame(ends, schema=schema, orient="row").unique(), pl.Series(fronts, dtype=pl.UInt32)


def _in_doubt(direct: pl.DataFrame, calls: pl.DataFrame, through: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Series at ports that serve clients and may have come through the frontend, or from the proxy that is it."""
    served = pl.concat([members.select(_END), through.select(_END)]).unique()
    series = direct.group_by(_SERIES).agg(start=pl.col("first_ns").min(), end=pl.col("first_ns").max())
    series = series.join(served, _END, how="semi")
    in_time = pl.col("first_ns").is_between(pl.col("start"), pl.col("end"))
    seen = series.join(through.select(*_END, "first_ns", "snat"), _END).filter(in_time).group_by(_SERIES)
    told = seen.agg(pl.len().alias("seen"), (pl.col("snat") == pl.col("client")).any().alias("proxy"))
    lone = calls.filter(pl.col("legs").list.len() == 1).select(*_END, "first_ns", other="client")
    others = series.join(lone, _END).filter(in_time, pl.col("other") != pl.col("client")).select(_SERIES).unique()
    sure = told.filter(pl.col("seen") >= _SEEN_IN_FRONT, ~pl.col("proxy").fill_null(value=False))
    sure = sure.join(others, _SERIES, how="anti")
    return series.join(sure, _SERIES, how="anti").select(_SERIES)
