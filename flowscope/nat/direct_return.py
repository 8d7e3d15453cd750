"""Direct server return (floating IP): members hold the frontend's own address and answer past the balancer.

Nothing is translated, so each connection is one leg, and the balancer sees one half of it. What tells is that one
address answers from several hosts: every connection to it is complete at one of several points, there with an initial
TTL, and one way only at a point before these.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from flowscope.nat.numbers import endpoint, endpoint_numbers
from flowscope.nat.places import INITIAL_TTLS, Place
from flowscope.nat.profile import UNTOLD, Profile
from flowscope.nat.topology import Topology

_TCP = 6
#: Points that answer in one address's name, before it is believed that it has several hosts.
_HOSTS = 2


def direct_returns(
    flows: pl.DataFrame, addresses: pl.DataFrame, topology: Topology, profile: Profile = UNTOLD
) -> pl.Series:
    """Endpoints (:func:`flowscope.nat.numbers.endpoint`) that members answer for themselves.

    Args:
        flows: with ``leg``.
        addresses: the core's address table.
        topology: what is known of the balancer.
        profile: what is documented of it; of a balancer that works this way one host's answers are enough.
    """
    given = [(one.address, one.port) for one in topology.frontends if one.mode == "dsr"]
    known = endpoint_numbers(addresses, given)
    if flows["leg"].n_unique() == flows.height:
        return known
    called = flows.filter(pl.col("protocol") == _TCP, pl.col("fwd_syns") > 0).select(
        "leg",
        "point",
        "rev_ttl_min",
        "rev_ttl_max",
        "fwd_ttl_max",
        answered=pl.col("rev_packets") > 0,
        end=endpoint("dst"),
    )
    # Both kinds of points for one service: where its calls go by one way, and where they are answered.
    passed = called.group_by("end", "point").agg(
        answers=pl.col("answered").any(), legs=pl.col("leg").unique(), ttl=pl.col("fwd_ttl_max").min()
    )
    before = passed.filter(~pl.col("answers")).select("end", leg="legs").explode("leg").unique()
    whole = called.filter(
        "answered",
        pl.col("rev_ttl_min") == pl.col("rev_ttl_max"),
        pl.col("rev_ttl_max").is_in(INITIAL_TTLS),
    )
    hosts = whole.join(before, ["end", "leg"], how="semi")
    # A leg that several points see answered lies on the way to one host, not at several.
    hosts = hosts.filter(pl.col("point").n_unique().over("end", "leg") == 1)
    enough = 1 if profile.mode is not None and profile.mode.value == "dsr" else _HOSTS
    found = hosts.group_by("end").agg(points=pl.col("point").n_unique()).filter(pl.col("points") >= enough)
    return pl.concat([known, found["end"].cast(pl.UInt64)]).unique().sort()


def shared_addresses(paths: pl.DataFrame, flows: pl.DataFrame, places: Mapping[int, Place]) -> frozenset[int]:
    """Address numbers that several members hold at once, so that none of them is one member's own.

    Args:
        paths: all paths; calls to a frontend that nothing translated have it as their backend.
        flows: with ``leg``.
        places: of the points.
    """
    direct = paths.filter(pl.col("frontend") == pl.col("backend"), pl.col("frontend_port") == pl.col("backend_port"))
    standing: dict[int, list[Place]] = {}
    for place in places.values():
        for host in place.hosts:
            standing.setdefault(host, []).append(place)
    return frozenset(direct["frontend"].unique()) | {host for host, there in standing.items() if _apart(there, flows)}


def _apart(there: list[Place], flows: pl.DataFrame) -> bool:
    """True when points stood on a host at one time and have no connection in common."""
    # One after the other they are captures of one host.
    at_once = max(place.first_ns for place in there) < min(place.last_ns for place in there)
    if len(there) < _HOSTS or not at_once:
        return False
    seen = flows.filter(pl.col("point").is_in([place.point for place in there])).select("leg", "point").unique()
    return not seen["leg"].is_duplicated().any()
