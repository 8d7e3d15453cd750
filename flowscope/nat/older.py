"""Connections older than the captures whose two sides could not be put together: how many, why, where to capture next.

Without a SYN only segments, or ranges of sequence numbers, that both sides saw tie two legs to one connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from flowscope.nat.outcomes import PROXIED

if TYPE_CHECKING:
    from flowscope.window import Window

_CALLED = ["called", "called_port"]
#: Hosts that the capture command names; more of them are a network of their own.
_NAMED = 4


def apart(window: Window) -> list[str]:
    """One sentence about old connections seen on one side of a balancer only, where others were on the other side."""
    alone = window.judgeable.filter(pl.col("outcome") == "unknown", pl.col("legs").list.len() == 1)
    if not alone.height or len(window.places) < 2:
        return []
    ends = window.legs.select(first_leg="leg", called="dst", called_port="dst_port")
    alone = alone.join(ends, "first_leg", how="left", maintain_order="left")
    served = _endpoints(window.served - window.members)
    # A proxy's two connections have numbers of their own.
    behind_proxy = window.paths.filter(pl.col("method").is_in(PROXIED)).select("frontend", "frontend_port").unique()
    served = served.join(behind_proxy, left_on=_CALLED, right_on=["frontend", "frontend_port"], how="anti")
    front = alone.join(served, _CALLED, how="semi", maintain_order="left")
    back = alone.join(_endpoints(window.members), _CALLED, how="semi", maintain_order="left")
    near, far = _same_client(window, alone)
    front = alone.filter(pl.col("path").is_in(front["path"].implode()) | pl.col("path").is_in(near.implode()))
    back = alone.filter(pl.col("path").is_in(back["path"].implode()) | pl.col("path").is_in(far.implode()))
    if not front.height or not back.height or _points(window, front) == _points(window, back):
        return []
    called = pl.concat([front["called"].unique().sort(), back["called"].unique().sort()])
    hosts = list(dict.fromkeys(map(window.address, called)))
    chosen = f" and ({' or '.join(f'host {host}' for host in hosts)})" if len(hosts) <= _NAMED else ""
    at = [_points(window, side) for side in (front, back)]
    return [
        f"{front.height:,} connections to a frontend (at {at[0]}) and {back.height:,} to members (at {at[1]}) are "
        f"older than the captures and may belong together, but {_why(window, front, back)}. They stay single legs, "
        "and rules that need both sides do not judge them. Capture both sides at once, for longer than the connections "
        f"pause, or let the clients connect anew meanwhile: tcpdump -ni any -s 128 -w both.pcap 'tcp{chosen}'"
    ]


def _endpoints(ends: frozenset[tuple[int, int]]) -> pl.DataFrame:
    return pl.DataFrame(sorted(ends), schema=dict(zip(_CALLED, (pl.UInt32, pl.UInt16), strict=True)), orient="row")


def _same_client(window: Window, alone: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Paths of one client's address and port to two hosts, at points of which the second is farther from it."""
    names = ["leg", "point", "fwd_ttl_max", "rev_ttl_max"]
    seen = alone.select("path", "client", "client_port", *_CALLED, leg="first_leg").join(
        window.flows.select(names), "leg", maintain_order="left"
    )
    seen = seen.filter(pl.len().over("client", "client_port") > 1)
    pairs = seen.join(seen, ["client", "client_port"], suffix="_b").filter(
        pl.col("called") != pl.col("called_b"),
        pl.col("point") != pl.col("point_b"),
        pl.col("fwd_ttl_max") > pl.col("fwd_ttl_max_b"),
        pl.col("rev_ttl_max") < pl.col("rev_ttl_max_b"),
    )
    return pairs["path"].unique(), pairs["path_b"].unique()


def _seen(window: Window, paths: pl.DataFrame) -> pl.DataFrame:
    return window.flows.filter(pl.col("leg").is_in(paths["first_leg"].implode())).select(
        "leg", "point", begin="at_ns", end=pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns")
    )


def _points(window: Window, paths: pl.DataFrame) -> str:
    return ", ".join(map(window.point_name, _seen(window, paths)["point"].unique().sort()))


def _why(window: Window, front: pl.DataFrame, back: pl.DataFrame) -> str:
    """What keeps them apart: captures of different times, or packets of different times."""
    spans = []
    for side in (front, back):
        places = [window.places[point] for point in _seen(window, side)["point"].unique() if point in window.places]
        spans.append((min(one.first_ns for one in places), max(one.last_ns for one in places)))
    (first, until), (other_first, other_until) = spans
    if until < other_first or other_until < first:
        return "the two sides were not captured at the same time, so no stretch of sequence numbers is on both"
    return (
        "no stretch of sequence numbers is on both: they sent nothing while both were captured, or a device renumbers"
    )
