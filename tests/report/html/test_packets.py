"""A packet is the same at every point, and is called lost only where it would have been seen."""

from __future__ import annotations

from typing import Any

from flowscope.nat.places import Place
from flowscope.report.html.packets import Packet, packets
from flowscope.report.html.route import Lane, Route, Stop
from tests.traffic import T0, events

SYN, ACK = 2, 16
DAY_NS = 86_400_000_000_000


def route(*stops: tuple[int, int, int | None, int | None], split: bool = False) -> Route:
    """A route of stops (lane, leg, point, flow)."""
    lanes = [Lane(f"place {at}", "", True) for at in range(1 + max(stop[0] for stop in stops))]
    made = [Stop(*stop) for stop in stops]
    flows = {stop.flow: (stop.lane, stop.leg) for stop in made if stop.flow is not None}
    return Route(lanes, made, flows, [("a:1", "b:2")] * 3, split)


DNAT = route((0, 0, 0, 0), (1, 0, 1, 1), (1, 1, 1, 2), (2, 1, 2, 3))
"""Client, balancer (both legs), member; a point at each of them."""
AWAKE = {at: Place(at, frozenset(), True, T0 - DAY_NS, T0 + DAY_NS) for at in range(3)}


def event(flow: int, at_us: int, **more: Any) -> dict[str, Any]:
    """A SYN of a flow of ``DNAT``, so many microseconds after the first."""
    point = {0: 0, 1: 1, 2: 1, 3: 2}[flow]
    usual = {"kind": "syn", "flags": SYN, "seq": 1000, "ip_id": 7, "frame": 100 * flow + at_us % 97, "capture": point}
    return {"flow": flow, "point": point, "time_ns": T0 + at_us * 1000, **usual, **more}


def found(
    *rows: dict[str, Any], way: Route = DNAT, places: Any = AWAKE, isns: Any = ((None, None), (None, None))
) -> list[Packet]:
    return packets(way, events(*rows).iter_rows(named=True), isns, places, dict.fromkeys(range(3), 0))


def told(packet: Packet) -> list[tuple[int, int, str]]:
    return [(hop.source, hop.target, hop.fate) for hop in packet.hops]


def test_one_packet_at_four_points() -> None:
    (packet,) = found(event(0, 0), event(1, 20), event(2, 30, ttl=63), event(3, 50, ttl=63))
    assert told(packet) == [(0, 1, "seen"), (1, 2, "seen")]
    assert [one.frame for one in packet.sightings] == [0, 120, 230, 350]


def test_retries_are_told_apart_by_their_ip_id() -> None:
    first, second = found(
        event(0, 0), event(1, 20), event(0, 1_000_000, ip_id=8), event(1, 1_000_020, ip_id=8), places={},
    )  # fmt: skip
    assert [len(one.sightings) for one in (first, second)] == [2, 2]
    assert second.at_ns - first.at_ns == 1_000_000_000


def test_a_packet_that_does_not_arrive_is_lost_behind_its_last_point() -> None:
    (packet,) = found(event(0, 0), event(1, 20), event(2, 30, ttl=63))
    assert told(packet) == [(0, 1, "seen"), (1, 2, "lost")]
    assert packet.lost


def test_nothing_is_lost_where_nobody_was_capturing() -> None:
    asleep = {**AWAKE, 2: Place(2, frozenset(), True, T0 + 1, T0 + DAY_NS)}
    (packet,) = found(event(0, 0), event(1, 20), event(2, 30, ttl=63), places=asleep)
    assert not packet.lost


def test_nothing_is_lost_where_not_every_event_was_kept() -> None:
    data = {"kind": "data", "flags": ACK, "length": 10}
    several = [event(3, 100 + at, seq=2000 + at, ip_id=20 + at, **data) for at in range(4)]
    one = event(2, 500, seq=9000, ip_id=90, **data)
    last = next(packet for packet in found(*several, one) if packet.seq == 9000)
    assert not last.lost
    # With fewer of them all are in the table, so that one more would be, too.
    last = next(packet for packet in found(*several[:2], one) if packet.seq == 9000)
    assert last.lost


def test_a_bare_ack_is_never_called_lost() -> None:
    (packet,) = found(event(0, 0, kind="challenge-ack", flags=ACK))
    assert not packet.lost


def test_a_packet_that_springs_up_was_not_seen_before() -> None:
    reset = {"kind": "rst", "flags": 4, "half": 1}
    (packet,) = found(event(1, 0, **reset), event(0, 20, **reset))
    assert told(packet) == [(1, 0, "seen")]
    (packet,) = found(event(2, 0, **reset))
    assert told(packet) == [(2, 1, "appears"), (1, 0, "lost")]


def test_where_nobody_captured_the_way_is_assumed() -> None:
    blind = route((0, 0, None, None), (1, 0, 1, 1), (2, 0, None, None))
    (packet,) = found(event(1, 0), way=blind)
    assert told(packet) == [(0, 1, "assumed"), (1, 2, "assumed")]


def test_past_a_blind_place_the_next_point_tells() -> None:
    way = route((0, 0, 0, 0), (1, 0, None, None), (1, 1, None, None), (2, 1, 2, 3))
    (packet,) = found(event(0, 0), way=way)
    assert told(packet) == [(0, 2, "lost")]
    (packet,) = found(event(0, 0), event(3, 30), way=way)
    assert told(packet) == [(0, 1, "seen"), (1, 2, "seen")]


def test_a_looped_syn_comes_back() -> None:
    way = route((0, 0, 0, 0), (1, 0, 1, 1), (1, 1, 1, 2), (0, 1, 0, 3))
    rows = [event(0, 0), event(1, 20), event(2, 30, ttl=63), event(3, 50, ttl=63, point=0, capture=0)]
    (packet,) = found(*rows, way=way)
    assert packet.looped
    assert told(packet) == [(0, 1, "seen"), (1, 0, "seen")]


def test_renumbered_legs_are_still_one_packet() -> None:
    rows = [event(0, 0, seq=1000), event(3, 50, seq=99_000)]
    assert len(found(*rows)) == 2
    assert len(found(*rows, isns=((1000, None), (99_000, None)))) == 1


def test_connections_of_a_proxy_share_no_packet() -> None:
    way = route((0, 0, 0, 0), (1, 0, 1, 1), (1, 1, 1, 2), (2, 1, 2, 3), split=True)
    both = found(event(0, 0), event(1, 20), event(2, 30), event(3, 50), way=way)
    assert [told(one) for one in both] == [[(0, 1, "seen")], [(1, 2, "seen")]]


def test_captured_twice_is_one_packet() -> None:
    (packet,) = found(event(0, 0), event(0, 2), event(1, 20), event(2, 30, ttl=63), event(3, 40, ttl=63))
    assert len(packet.sightings) == 4


def test_what_is_on_it() -> None:
    (data,) = found(event(0, 0, kind="data", flags=24, length=1448))
    assert data.what == "PSH, ACK · 1,448 B"
    (error,) = found(event(0, 0, kind="icmp-error", half=1, icmp=3 * 256 + 13, peer=1))
    assert error.what == "ICMP 3/13"
