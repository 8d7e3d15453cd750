"""Where the points stand: on which host, as far as the topology says or the packets show.

A capture on a host shows in its packet types (Linux cooked: everything from the host is "outgoing", everything to it
"to us") and in TTLs: what a host sends has an initial TTL there, what comes from beyond a router has not. TTLs cannot
tell the host from the wire next to it, so such a place is not sure. Names of files and points are never read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from flowscope.capture.points import Point
from flowscope.nat.numbers import address_numbers
from flowscope.nat.topology import Topology

#: Initial TTLs of the systems in use (Linux and BSD 64, Windows 128, network gear 255).
INITIAL_TTLS = (64, 128, 255)
_TO_US, _FROM_US = 1 << 0, 1 << 4


@dataclass(frozen=True, slots=True)
class Place:
    """One point and the host it stands on."""

    point: int
    hosts: frozenset[int]
    """Address numbers of that host; empty when it stands on no endpoint, or nobody can tell."""
    sure: bool
    """False when the point may as well be on the wire next to the host."""
    first_ns: int
    """From when the point was provably captured: its first frame, on the reference clock."""
    last_ns: int
    """Until when: its last packet, or the end of its capture where that is known."""


def places(
    flows: pl.DataFrame,
    points: Sequence[Point],
    addresses: pl.DataFrame,
    topology: Topology,
    until_ns: Mapping[int, int] | None = None,
    since_ns: Mapping[int, int] | None = None,
) -> dict[int, Place]:
    """The place of every point that has flows, or that the topology puts on a host, by point number.

    Args:
        flows: with ``at_ns``.
        points: as named by :func:`flowscope.capture.points.name_points`; their ``node`` wins over what is inferred.
        addresses: the core's address table.
        topology: resolves the names of nodes.
        until_ns: until when each point was captured, on the reference clock; without it until its last packet.
        since_ns: from when; a frame of ARP shows that a point was captured while nothing reached its host.
    """
    alive = flows.group_by("point").agg(pl.col("at_ns").min(), (pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns")).max().alias("end"))  # fmt: skip # noqa: E501
    seen = _endpoints(flows)
    number = address_numbers(addresses, (member.address for pool in topology.pools for member in pool.members))
    found = {}
    for point, first, last in alive.iter_rows():
        here = seen.filter(pl.col("point") == point)
        node = next((one.node for one in points if one.number == point), None)
        hosts, sure = _of_node(node, number, topology)
        if node is None:
            cooked = ((here["sent_types"] | here["got_types"]) != 0).any()
            hosts = _by_packet_types(here) if cooked else _by_ttl(here)
            sure = cooked and bool(hosts)
        since, until = min(first, (since_ns or {}).get(point, first)), max(last, (until_ns or {}).get(point, last))
        found[point] = Place(point, hosts, sure, since, until)
    # Where nothing but ARP reached a host, its point is what shows that nothing did.
    for one in points:
        times = (since_ns or {}).get(one.number), (until_ns or {}).get(one.number)
        if one.number not in found and one.node is not None and times[0] is not None and times[1] is not None:
            found[one.number] = Place(one.number, *_of_node(one.node, number, topology), times[0], times[1])
    return found


def _endpoints(flows: pl.DataFrame) -> pl.DataFrame:
    """Per point and address: flows it takes part in, packet types and TTLs of what it sent and of what it got.

    Only of addresses that may be a point's host: those with packet types, and the ends of any point's first flow, since
    without packet types only an end of every flow there is a host.
    """
    # Hairpins and loopback have one address at both ends: their copies tell nothing of the direction.
    plain = flows.lazy().filter(pl.col("src") != pl.col("dst"), pl.col("tunnel").is_null())
    ends = plain.group_by("point").agg(pl.col("src").first(), pl.col("dst").first()).collect()
    first = pl.concat([ends["src"], ends["dst"]]).unique().implode()
    may_be_host = pl.col("address").is_in(first) | ((pl.col("sent_types") | pl.col("got_types")) != 0)
    sides = [
        plain.select(
            "point",
            pl.col(own).alias("address"),
            sent_types=f"{a}_packet_types",
            got_types=f"{b}_packet_types",
            ttl_min=f"{a}_ttl_min",
            ttl_max=f"{a}_ttl_max",
        ).filter(may_be_host)
        for own, a, b in (("src", "fwd", "rev"), ("dst", "rev", "fwd"))
    ]
    bits = [pl.col(name).bitwise_or() for name in ("sent_types", "got_types")]
    grouped = (
        pl.concat(sides)
        .group_by("point", "address")
        .agg(pl.len().alias("flows"), *bits, pl.col("ttl_min").min(), pl.col("ttl_max").max())
        .collect()
    )
    total = plain.group_by("point").agg(pl.len().alias("all")).collect()
    spread = grouped.group_by("address").agg(pl.col("point").n_unique().alias("points"))
    return grouped.join(total, "point").join(spread, "address")


def _of_node(node: str | None, number: dict[str, int], topology: Topology) -> tuple[frozenset[int], bool]:
    members = [member for pool in topology.pools for member in pool.members if node in (member.name, member.address)]
    return frozenset(number[member.address] for member in members if member.address in number), True


def _by_packet_types(here: pl.DataFrame) -> frozenset[int]:
    """Hosts whose packets all leave here and to whom all others come."""
    own = here.filter(
        (pl.col("sent_types") | pl.col("got_types")) != 0,
        (pl.col("sent_types") & ~pl.lit(_FROM_US, pl.UInt8)) == 0,
        (pl.col("got_types") & ~pl.lit(_TO_US, pl.UInt8)) == 0,
    )
    return frozenset(own["address"])


def _by_ttl(here: pl.DataFrame) -> frozenset[int]:
    """The one host that is an end of every flow here and whose packets still have their initial TTL."""
    central = here.filter(
        pl.col("flows") == pl.col("all"),
        pl.col("ttl_min") == pl.col("ttl_max"),
        pl.col("ttl_max").is_in(INITIAL_TTLS),
    )
    # Two hosts may talk to one another only, a prober and its member: the one that other points do not see is here.
    fewest = central.filter(pl.col("points") == pl.col("points").min())
    return frozenset(fewest["address"]) if fewest.height == 1 else frozenset()
