"""The packets of one path, each followed from point to point on the corrected clock, and what became of it.

A packet is known again at the next point by direction, flags, length and its place in the stream (sequence number,
relative to the initial one, so that translators that renumber do not hide it); of several alike the one with the same
IP identification, else the nearest in time. "Lost" is only said where the next point was capturing, and where the core
keeps every event of that kind: it keeps the first eight and the last two of each (of data the first four).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from flowscope.nat.places import Place
from flowscope.report.html.route import Route, Stop
from flowscope.tables import EVENT_KINDS

_KEPT = 8
_KEPT_DATA = 4
_SAME_NS = 5_000_000
"""Closer than this, and equal in everything, it is one packet captured twice (``-i any``)."""
_NEAR_NS = 150_000_000
"""A copy at another point that comes later than this is the next try: no TCP repeats a segment sooner than 200 ms."""
_FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"), (0x20, "URG"))
_MARKED = 0x07
"""SYN, FIN and RST."""
_WRAP = 1 << 32

Fate = Literal["seen", "assumed", "lost", "appears"]
"""Of one hop: seen at both ends; one end was not captured; not seen where it should have come; seen first in the
middle of its way."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One packet at one point."""

    lane: int
    leg: int
    point: int
    capture: int
    frame: int
    at_ns: int
    ttl: int


@dataclass(frozen=True, slots=True)
class Hop:
    """A packet on its way from one lifeline to another; positions of lanes."""

    source: int
    target: int
    leg: int
    fate: Fate
    begins: Sighting | None = None
    ends: Sighting | None = None


@dataclass(slots=True)
class Packet:
    """One packet and all that was seen of it."""

    half: int
    what: str
    """``SYN``, ``SYN, ACK``, ``PSH, ACK 120 B``, ``ICMP 3/13``."""
    kinds: set[str]
    flags: int
    seq: int
    ack: int
    length: int
    ip_id: int
    key: tuple[Any, ...]
    peer: int | None = None
    sightings: list[Sighting] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    missed: set[int] = field(default_factory=set)
    """Lifelines that it should have passed between two sightings, and where it was not seen."""
    looped: bool = False
    """It came back to the host that had sent it."""

    @property
    def at_ns(self) -> int:
        """When it was first seen, on the reference clock."""
        return min(one.at_ns for one in self.sightings)

    @property
    def lost(self) -> bool:
        """It was not seen where it should have come."""
        return any(hop.fate == "lost" for hop in self.hops)


def packets(
    route: Route,
    events: Iterable[Mapping[str, Any]],
    isns: Sequence[tuple[int | None, int | None]],
    places: Mapping[int, Place],
    errors_ns: Mapping[int, int],
) -> list[Packet]:
    """The packets of a path, in order of time.

    Args:
        route: the way of the path.
        events: of its flows.
        isns: of each leg: the initiator's and the responder's initial sequence number.
        places: when each point was capturing.
        errors_ns: how wrong each point's corrected clock may be.
    """
    rows = sorted(events, key=lambda one: (one["at_ns"], one["flow"], one["frame"]))
    relative = [not route.split and all(pair[half] is not None for pair in isns) for half in (0, 1)]
    found: dict[tuple[Any, ...], list[Packet]] = {}
    frames: dict[tuple[int, int, int], Packet] = {}
    counts: Counter[tuple[int, int, int]] = Counter()
    for row in rows:
        counts[row["flow"], row["half"], row["kind"]] += 1
        kind = EVENT_KINDS[row["kind"]]
        frame = (row["flow"], row["capture"], row["frame"])
        if frame in frames:
            frames[frame].kinds.add(kind)
            continue
        lane, leg = route.of_flow[row["flow"]]
        half, seq = row["half"], row["seq"]
        if relative[half] and kind not in ("rst", "icmp-error"):
            seq = (seq - (isns[leg][half] or 0)) % _WRAP
        key = (half, kind == "icmp-error", row["flags"], seq, row["length"], leg if route.split else None)
        sighting = Sighting(lane, leg, row["point"], row["capture"], row["frame"], row["at_ns"], row["ttl"])
        packet = _known(found.setdefault(key, []), sighting, row["ip_id"])
        if packet is None:
            packet = Packet(
                half, _what(row, kind), set(), row["flags"], row["seq"], row["ack"], row["length"], row["ip_id"], key,
                row["peer"],
            )  # fmt: skip
            found[key].append(packet)
        packet.kinds.add(kind)
        if all((one.lane, one.leg) != (lane, leg) for one in packet.sightings):
            packet.sightings.append(sighting)
        frames[frame] = packet
    kept = {
        (flow, half): all(
            number < (_KEPT_DATA if EVENT_KINDS[kind] == "data" else _KEPT)
            for (one, side, kind), number in counts.items()
            if (one, side) == (flow, half)
        )
        for flow in route.of_flow
        for half in (0, 1)
    }
    made = [packet for some in found.values() for packet in some]
    for packet in made:
        way = _way(packet, route)
        _order(packet, way, errors_ns)
        _follow(packet, way, places, kept)
    return sorted(made, key=lambda one: (one.at_ns, one.half))


def _known(alike: Sequence[Packet], sighting: Sighting, ip_id: int) -> Packet | None:
    """The packet this is another sighting of, if any."""
    near = []
    for packet in alike:
        here = [one for one in packet.sightings if (one.lane, one.leg) == (sighting.lane, sighting.leg)]
        apart = min(abs(sighting.at_ns - one.at_ns) for one in (here or packet.sightings))
        if here and (apart > _SAME_NS or packet.ip_id != ip_id):
            continue
        if apart <= _NEAR_NS:
            near.append((packet.ip_id != ip_id, apart, packet))
    return min(near, key=lambda one: one[:2])[2] if near else None


def _way(packet: Packet, route: Route) -> list[Stop]:
    """The stops in the direction of a packet."""
    way = route.stops if packet.half == 0 else route.stops[::-1]
    return [stop for stop in way if not route.split or stop.leg == packet.sightings[0].leg]


def _order(packet: Packet, way: Sequence[Stop], errors_ns: Mapping[int, int]) -> None:
    """Sorts sightings the way the packet went: by leg, TTL, and time where clocks can tell, else by its stops."""
    toward = 1 if packet.half == 0 else -1
    order = {(stop.lane, stop.leg): at for at, stop in enumerate(way)}

    def before(one: Sighting, other: Sighting) -> bool:
        if one.leg != other.leg:
            return (one.leg - other.leg) * toward < 0
        if one.ttl != other.ttl:
            return one.ttl > other.ttl
        blur = 0 if one.point == other.point else errors_ns.get(one.point, 0) + errors_ns.get(other.point, 0)
        if abs(one.at_ns - other.at_ns) > blur:
            return one.at_ns < other.at_ns
        here, there = order.get((one.lane, one.leg)), order.get((other.lane, other.leg))
        if here is not None and there is not None:
            return here < there
        return (one.lane - other.lane) * toward < 0

    ordered: list[Sighting] = []
    for one in packet.sightings:
        at = next((at for at, other in enumerate(ordered) if before(one, other)), len(ordered))
        ordered.insert(at, one)
    packet.sightings = ordered


def _follow(
    packet: Packet, way: Sequence[Stop], places: Mapping[int, Place], kept: Mapping[tuple[int, int], bool]
) -> None:
    """Fills in the hops: between sightings, before the first, and after the last."""
    place_of = {(stop.lane, stop.leg): at for at, stop in enumerate(way)}
    first, last = packet.sightings[0], packet.sightings[-1]

    def due(stop: Stop) -> bool:
        """True when the packet would stand in the tables had it come there."""
        if not (packet.flags & _MARKED or packet.length or packet.peer is not None):
            # A bare ACK stands in the tables only where it meant something.
            return False
        place = places.get(stop.point) if stop.point is not None else None
        if place is None or not place.first_ns <= packet.at_ns <= place.last_ns:
            return False
        return stop.flow is None or kept[stop.flow, packet.half]

    begin = place_of.get((first.lane, first.leg))
    if begin:
        stop = way[begin - 1]
        if "icmp-error" in packet.kinds:
            packet.hops.append(Hop(stop.lane, first.lane, first.leg, "appears", None, first))
        elif stop.lane != first.lane:
            fate: Fate = "appears" if stop.point is not None and due(stop) else "assumed"
            packet.hops.append(Hop(stop.lane, first.lane, first.leg, fate, None, first))
    for one, other in zip(packet.sightings, packet.sightings[1:], strict=False):
        if one.lane != other.lane:
            packet.hops += _across(one, other, way, place_of)
            between = range(min(one.lane, other.lane) + 1, max(one.lane, other.lane))
            packet.missed |= {stop.lane for stop in way if stop.lane in between and due(stop)}
    packet.missed -= {one.lane for one in packet.sightings}
    end = place_of.get((last.lane, last.leg))
    if end is not None:
        ahead = [stop for stop in way[end + 1 :] if stop.lane != last.lane]
        # Past places that nobody captured the next point still tells whether the packet got so far.
        known = next((stop for stop in ahead if stop.point is not None), None)
        if known is not None and due(known):
            packet.hops.append(Hop(last.lane, known.lane, known.leg, "lost", last))
        elif ahead and ahead[0].point is None:
            packet.hops.append(Hop(last.lane, ahead[0].lane, ahead[0].leg, "assumed", last))
    packet.looped = len(packet.sightings) > 1 and last.lane == first.lane and last.leg != first.leg


def _across(
    one: Sighting, other: Sighting, way: Sequence[Stop], place_of: Mapping[tuple[int, int], int]
) -> Iterator[Hop]:
    """From one sighting to the next, past the translators between them that nobody captured."""
    begin, end = place_of.get((one.lane, one.leg)), place_of.get((other.lane, other.leg))
    lane = one.lane
    begins: Sighting | None = one
    if begin is not None and end is not None:
        for stop in way[begin + 1 : end]:
            if stop.point is None and stop.lane != lane:
                yield Hop(lane, stop.lane, stop.leg, "seen", begins)
                lane, begins = stop.lane, None
    yield Hop(lane, other.lane, other.leg, "seen", begins, other)


def _what(row: Mapping[str, Any], kind: str) -> str:
    if kind == "icmp-error":
        return f"ICMP {row['icmp'] >> 8}/{row['icmp'] & 0xFF}" if row["icmp"] is not None else "ICMP error"
    names = ", ".join(name for bit, name in _FLAGS if row["flags"] & bit) or "no flags"
    return f"{names} · {row['length']:,} B" if row["length"] else names
