"""What a run's captures still show of its connections, counted from their packets and never by flowscope's matcher.

A leg is visible where one point has at least two of its packets, one of them with payload or a SYN. A join can be asked
for when both of its legs are visible, each at some point. Across a proxy nothing but what is sent tells connections
apart that were open at once, so one of the proxy's own segments with payload must be there; cut ones will do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from tests.lab.compare import Pair, ends
from tests.lab.packets import ACK, SYN, Point, Segment, Tuple4, back

#: A connection's packets come from a little before its first SYN by the client's clock, until its last retries.
EARLY_S, LATE_S = 0.05, 5.0
Leg = dict[str, Any]


def key(leg: Leg) -> Tuple4:
    """A leg of the truth as points know it."""
    return leg["src"], leg["sport"], leg["dst"], leg["dport"]


class Visible:
    """The connections of a run, and what these points still have of them."""

    def __init__(self, told: dict[str, Any], points: Mapping[str, Point]) -> None:
        self.told, self.points = told, points
        self.known: dict[tuple[str, str], set[tuple[int, Tuple4 | None]]] = {}
        self.starts: defaultdict[Tuple4, list[float]] = defaultdict(list)
        for record in told["connections"]:
            for leg in legs(record):
                # A proxy's connection does not end when the next client's begins: it may serve both.
                if leg is record["client_leg"] or not proxied(record):
                    self.starts[key(leg)].append(record["t_syn"])

    def joins(self) -> Counter[Pair]:
        """The joins that can be asked for."""
        found: Counter[Pair] = Counter()
        for record in self.told["connections"]:
            client, *servers = legs(record)
            for server in servers:
                if key(server) == key(client) or not (self._shown(client, record) and self._shown(server, record)):
                    continue
                if not proxied(record) or self._told(server, record):
                    found[ends(client) + ends(server)] += 1
        for request in self.told["extra"].get("requests", []):
            pair = ends(request["client_leg"]) + ends(request["server_leg"])
            shown = all(self._shown(request[side]) for side in ("client_leg", "server_leg"))
            if not found[pair] and shown and self._told(request["server_leg"]):
                found[pair] = 1
        return +found

    def shared(self, one: str, other: str, how: str = "both") -> int:
        """How many connections two points saw, on whichever of their legs.

        Args:
            one: a point.
            other: another.
            how: ``any`` packet will do, ``both`` directions, or ``opening``: the SYN and its answer. No packet is on
                both sides of a proxy, so that an opening tells of its own side only.
        """
        return len(self._connections(one, how) & self._connections(other, how))

    def _connections(self, at: str, how: str) -> set[tuple[int, Tuple4 | None]]:
        """Connections that a point saw: their places in the truth; of openings each side of a proxy for itself."""
        if (at, how) not in self.known:
            self.known[at, how] = {
                (number, key(leg) if proxied(record) and how == "opening" else None)
                for number, record in enumerate(self.told["connections"])
                for leg in legs(record)
                if _enough(*self._seen(leg, record, at), how)
            }
        return self.known[at, how]

    def _shown(self, leg: Leg, record: dict[str, Any] | None = None) -> bool:
        return any(
            len(seen) >= 2 and any(one.size or one.flags & SYN for one in seen)
            for seen in (there + again for there, again in (self._seen(leg, record, at) for at in self.points))
        )

    def _told(self, server: Leg, record: dict[str, Any] | None = None) -> bool:
        """Whether a segment that a proxy sent to the server is there."""
        return any(one.size for at in self.points for one in self._seen(server, record, at)[0])

    def _seen(self, leg: Leg, record: dict[str, Any] | None, at: str) -> tuple[list[Segment], list[Segment]]:
        """The packets of a leg at a point, there and back: those of this connection where its tuple is used again."""
        way = key(leg)
        start, end = (record["t_syn"] - EARLY_S, record["t_end"] + LATE_S) if record else (0.0, float("inf"))
        if record:
            end = min([end, *(time - 0.002 for time in self.starts[way] if time > record["t_syn"])])
        point = self.points[at]
        return point.within(way, start, end), point.within(back(way), start, end)


def _enough(there: list[Segment], again: list[Segment], how: str) -> bool:
    if how == "any":
        return bool(there or again)
    if how == "both":
        return bool(there and again)
    return any(one.flags & (SYN | ACK) == SYN for one in there) and any(
        one.flags & (SYN | ACK) == SYN | ACK for one in again
    )


def proxied(record: dict[str, Any]) -> bool:
    """Whether the connection ended at a proxy, which opened others in its stead."""
    return "proxy_log" in record["match_by"]


def legs(record: dict[str, Any]) -> list[Leg]:
    """The legs of a connection of the truth, the client's first."""
    found = [record["client_leg"], record["server_leg"], *record.get("more_server_legs", [])]
    return [leg for leg in found if leg]
