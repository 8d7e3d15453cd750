"""The way of one path as lifelines and stops: who stands where, in the order in which its packets travel.

A lifeline is a host, a point, or a point that stands on a host (then it is one lifeline). A stop is a lifeline on one
leg; where a point sees both legs of a translator it has two stops. Places that nobody captured are lifelines as well,
so that a ladder shows where knowledge ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from flowscope.nat.places import INITIAL_TTLS, Place

if TYPE_CHECKING:
    from flowscope.report.html.view import View

_SPLIT = ("proxy-protocol", "proxy-request", "timing")
"""How legs were joined whose connections are separate: no packet crosses from one to the other."""

Key = tuple[str, int]
"""``point`` and its number, ``host`` and its address number, or ``between`` and the number of the leg before."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A lifeline."""

    title: str
    detail: str
    captured: bool
    """False for a place where nobody captured."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A lifeline on one leg."""

    lane: int
    leg: int
    """Position of the leg in the path."""
    point: int | None
    flow: int | None
    """None where the point saw nothing of this leg, though packets of it should pass."""


@dataclass(slots=True)
class Route:
    """The lifelines of a path, and its stops in the direction of its initiator's packets."""

    lanes: list[Lane] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    of_flow: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Flow -> lane and position of its leg; also for flows that saw answers only."""
    tuples: list[tuple[str, str]] = field(default_factory=list)
    """Source and destination of each leg."""
    split: bool = False
    """The legs are connections of their own."""


class _Builder:
    def __init__(self, view: View, places: Mapping[int, Place]) -> None:
        self.view, self.places = view, places
        self.route = Route()
        self.keys: dict[Key, int] = {}
        self.nodes = {point.number: point.node for point in view.analysis.points}

    def lane(self, key: Key, title: str, detail: str, captured: bool) -> int:
        if key not in self.keys:
            self.keys[key] = len(self.route.lanes)
            self.route.lanes.append(Lane(title, detail, captured))
        return self.keys[key]

    def point(self, number: int) -> int:
        node = self.nodes.get(number)
        detail = f"at {node}" if node and node != self.view.points[number] else "capture point"
        detail = "load balancer" if node == "lb" else detail
        return self.lane(("point", number), self.view.points[number], detail, True)

    def host(self, address: int, port: int | None, what: str) -> int:
        name = self.view.name(address, port)
        detail = f"{self.view.address(address)}, not captured" if name else f"{what}, not captured"
        return self.lane(("host", address), name or self.view.endpoint(address, port), detail, False)

    def host_with_point(self, address: int, number: int, what: str) -> int:
        """The host and its point as one lifeline."""
        name, text, label = self.view.name(address), self.view.address(address), self.view.points[number]
        title = name or text
        detail = ", ".join(filter(None, (text if name else what, "" if label == title else f"captured by {label}")))
        key: Key = ("point", number)
        if key in self.keys:
            at = self.keys[key]
            if self.route.lanes[at].detail in ("capture point",) or self.route.lanes[at].detail.startswith("at "):
                self.route.lanes[at] = Lane(title, detail, True)
        else:
            at = self.lane(key, title, detail, True)
        self.keys.setdefault(("host", address), at)
        return at

    def stop(self, lane: int, leg: int, point: int | None, flow: int | None) -> None:
        self.route.stops.append(Stop(lane, leg, point, flow))
        if flow is not None:
            self.route.of_flow[flow] = (lane, leg)

    def beside(self, point: int, ttl: int | None) -> bool:
        """True when packets with this TTL come from the host itself, or from the wire next to it."""
        place = self.places.get(point)
        return ttl in INITIAL_TTLS and self.nodes.get(point) != "lb" and not (place and place.hosts)

    def standing_on(self, address: int) -> list[int]:
        found = [place for place in self.places.values() if address in place.hosts]
        return [place.point for place in sorted(found, key=lambda one: (not one.sure, one.point))]


def route(view: View, path: Mapping[str, Any], places: Mapping[int, Place], usual: Sequence[int] = ()) -> Route:
    """The way of a path.

    Args:
        view: names what is shown.
        path: a row of the paths.
        places: where the points stand.
        usual: points that packets of other paths to the same destination pass next.
    """
    analysis = view.analysis
    numbers = path["legs"]
    legs = {row["leg"]: row for row in analysis.legs.filter(pl.col("leg").is_in(numbers)).iter_rows(named=True)}
    rows = [legs[number] for number in numbers]
    flows = {
        row["flow"]: row
        for row in analysis.flows.filter(pl.col("flow").is_in([one for leg in rows for one in leg["flows"]]))
        .select("flow", "point", "fwd_packets", "rev_packets", "fwd_ttl_max", "rev_ttl_max", "fwd_syns")
        .iter_rows(named=True)
    }
    build = _Builder(view, places)
    made = build.route
    made.split = path["method"] in _SPLIT
    made.tuples = [
        (view.endpoint(leg["src"], leg["src_port"]), view.endpoint(leg["dst"], leg["dst_port"])) for leg in rows
    ]
    forward = _forward(rows, flows, places)
    client, end = rows[0]["src"], rows[-1]["dst"]
    _begin(build, rows[0], [flows[flow] for at, flow in forward if at == 0])
    for at, leg in enumerate(rows):
        here = [flow for position, flow in forward if position == at]
        last = at == len(rows) - 1
        for order, flow in enumerate(here):
            point = flows[flow]["point"]
            own = end in places[point].hosts if point in places else False
            close = order == len(here) - 1 and build.beside(point, flows[flow]["rev_ttl_max"])
            if ("point", point) not in build.keys and last and (own or (close and ("host", end) not in build.keys)):
                lane = build.host_with_point(end, point, _end_name(path))
            else:
                lane = build.point(point)
            build.stop(lane, at, point, flow)
        if not last:
            _between(
                build, at, leg, rows[at + 1], here, [flow for position, flow in forward if position == at + 1], flows
            )
    for point in usual:
        if ("point", point) not in build.keys:
            build.stop(build.point(point), len(rows), point, None)
    _finish(build, rows[-1], client, path)
    for at, leg in enumerate(rows):
        for flow in leg["flows"]:
            if flow not in made.of_flow:
                # Only answers were seen there.
                made.of_flow[flow] = (build.point(flows[flow]["point"]), at)
    return made


def _forward(
    rows: Sequence[Mapping[str, Any]], flows: Mapping[int, Mapping[str, Any]], places: Mapping[int, Place]
) -> list[tuple[int, int]]:
    """Position of the leg and flow of every stop, in the direction of the initiator's packets."""
    made: list[tuple[int, int]] = []
    before: int | None = None
    client, end = rows[0]["src"], rows[-1]["dst"]
    for at, leg in enumerate(rows):
        last = at == len(rows) - 1

        def order(flow: int, at: int = at, last: bool = last, before: int | None = before) -> tuple[bool, bool, bool]:
            # Clocks may be too coarse to tell; where a point stands is not.
            point = flows[flow]["point"]
            hosts = places[point].hosts if point in places else frozenset()
            return (last and end in hosts, point != before, at == 0 and client not in hosts)

        here = sorted(_passed(leg["flows"], flows), key=order)
        made += [(at, flow) for flow in here]
        before = flows[here[-1]]["point"] if here else None
    return made


def _passed(leg: Sequence[int], flows: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Flows of a leg through whose points its initiator's packets went: where its SYN was seen, if it was at all."""
    for wanted in ("fwd_syns", "fwd_packets"):
        found = [flow for flow in leg if flows[flow][wanted]]
        if found:
            return found
    return []


def _begin(build: _Builder, leg: Mapping[str, Any], here: Sequence[Mapping[str, Any]]) -> None:
    client = leg["src"]
    if here:
        point = here[0]["point"]
        place = build.places.get(point)
        if (place and client in place.hosts) or build.beside(point, here[0]["fwd_ttl_max"]):
            build.host_with_point(client, point, "client")
            return
    prober = any(health.series.source == client for health in build.view.analysis.health)
    build.stop(build.host(client, None, "prober" if prober else "client"), 0, None, None)


def _between(
    build: _Builder,
    at: int,
    leg: Mapping[str, Any],
    following: Mapping[str, Any],
    here: Sequence[int],
    there: Sequence[int],
    flows: Mapping[int, Mapping[str, Any]],
) -> None:
    """A lifeline for the translator, unless a point sees both of its sides, or points on both sides stand on it."""
    if here and there:
        one, other = flows[here[-1]]["point"], flows[there[0]]["point"]
        node = build.nodes.get(one)
        if one == other or (node is not None and node == build.nodes.get(other)):
            return
    moved = (leg["dst"], leg["dst_port"]) != (following["dst"], following["dst_port"])
    title = build.view.endpoint(leg["dst"], leg["dst_port"]) if moved else build.view.address(following["src"])
    lane = build.lane(("between", at), title, "translator, not captured", False)
    build.stop(lane, at, None, None)
    build.stop(lane, at + 1, None, None)


def _finish(build: _Builder, leg: Mapping[str, Any], client: int, path: Mapping[str, Any]) -> None:
    """The end of the last leg: its host's own point if there is one, else a place nobody captured."""
    end, made = leg["dst"], build.route
    last = made.stops[-1] if made.stops else None
    at = build.keys.get(("host", end))
    if at is not None and last is not None and last.lane == at:
        return
    final = last.leg if last is not None else 0
    standing = build.standing_on(end)
    if standing:
        point = standing[0]
        lane = build.host_with_point(end, point, _end_name(path))
        build.stop(lane, final, point, None)
        return
    lane = at if at is not None else build.host(end, leg["dst_port"], _end_name(path))
    build.stop(lane, final, None, None)


def _end_name(path: Mapping[str, Any]) -> str:
    return "server" if path["frontend"] is None else "member"
