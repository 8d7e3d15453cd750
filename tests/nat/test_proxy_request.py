"""Requests are joined one by one: by what is unique, by the client they name, by what the topology expects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat.proxy_wire import FRONT, PROXY, SERVER, SERVER_2, TOPOLOGY, A, B, World, asks
from tests.wire import MS, T0, End, Hop, talk

pytestmark = pytest.mark.usefixtures("core")

BACK, BACK_2 = (PROXY, 30000), (PROXY, 30001)
HOUR_MS = 3_600_000


def pair(client: End, src: End, server: End = SERVER, front: End = FRONT) -> tuple[str, ...]:
    ends = (client, front, src, server)
    return (*(f"{address}:{port}" for address, port in ends), "proxy-request")


def unsure(src: End, server: End = SERVER) -> tuple[str, ...]:
    return ("?", *(f"{address}:{port}" for address, port in (src, server)), "proxy-request")


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ("X-Request-Id: 7f3a-01", "x-request-id: 7f3a-01"),
        ("X-Conn-Id: c0ffee0123456789", "X-Trace: c0ffee0123456789"),
        ("X-Azure-Ref: 0abc12345678", "X-Azure-Ref: 0abc12345678"),
        (
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01",
        ),
    ],
)
def test_a_unique_value_joins_whatever_its_name(tmp_path: Path, sent: str, passed: str) -> None:
    world = World()
    world.leg(A, FRONT, asks(1, "/", sent, took_ms=4))
    world.leg(B, FRONT, asks(1, "/", took_ms=4))
    world.leg(BACK, SERVER, asks(1, "/", passed), 0.5)
    assert world.joins(tmp_path) == [pair(A, BACK)]


def test_a_value_that_the_server_gives_joins_as_well(tmp_path: Path) -> None:
    world = World()
    answer = b"HTTP/1.1 200 OK\r\nX-Request-Id: 5e8f22c1-77aa-4a10\r\nContent-Length: 2\r\n\r\nok"
    ask = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
    world.leg(A, FRONT, [(1, False, ask), (6, True, answer)])
    world.leg(BACK, SERVER, [(1, False, ask), (3, True, answer)], 1)
    assert world.joins(tmp_path) == [pair(A, BACK)]


def test_one_connection_serves_many_and_one_is_served_by_many(tmp_path: Path) -> None:
    world = World()
    ids = [f"X-Request-Id: {at}-aaaa-bbbb-cccc" for at in range(4)]
    world.leg(A, FRONT, asks(1, "/", ids[0], took_ms=4) + asks(41, "/", ids[2], took_ms=4))
    world.leg(B, FRONT, asks(21, "/", ids[1], took_ms=4) + asks(61, "/", ids[3], took_ms=4))
    world.leg(BACK, SERVER, [*asks(2, "/", ids[0]), *asks(22, "/", ids[1]), *asks(42, "/", ids[2])])
    world.leg(BACK_2, SERVER_2, asks(2, "/", ids[3]), 60)
    assert world.joins(tmp_path) == [pair(A, BACK), pair(B, BACK), pair(B, BACK_2, SERVER_2)]
    requests = world.table(tmp_path)[0].sort("leg", "before")["requests"]
    assert requests.to_list() == [2, 1, 1]


def test_spares_ids_replayed_hours_later(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, asks(1, "/a", "X-Request-Id: 11111111-2222"))
    world.leg(("198.51.100.1", 999), ("198.51.100.9", 80), asks(1, "/a", "X-Request-Id: 11111111-2222"), 3 * HOUR_MS)
    assert world.joins(tmp_path) == []


def test_spares_a_client_that_tries_another_server_with_the_same_id(tmp_path: Path) -> None:
    world = World()
    late = asks(1, "/a", "X-Request-Id: 11111111-2222", took_ms=900)
    world.leg(A, FRONT, late)
    world.leg((A[0], 40001), ("203.0.113.10", 80), asks(1, "/a", "X-Request-Id: 11111111-2222"), 500)
    assert world.joins(tmp_path) == []


def test_spares_a_service_that_asks_another_under_the_same_id(tmp_path: Path) -> None:
    world = World()
    trace = "X-Request-Id: 9c2d-4411-aaaa"
    world.leg(A, FRONT, asks(1, "/checkout", trace, "User-Agent: browser", took_ms=20))
    world.leg((FRONT[0], 30000), SERVER, asks(1, "/stock/55", trace, "User-Agent: shop/1", took_ms=5, body=b"7"), 4)
    assert world.joins(tmp_path) == []


def test_in_a_chain_of_proxies_each_leg_has_the_one_before_it(tmp_path: Path) -> None:
    world = World()
    middle, second = ("10.5.0.1", 20000), ("10.5.0.9", 81)
    trace = "X-Request-Id: 7e57-0000-1111-2222"
    world.leg(A, FRONT, asks(1, "/a", trace, took_ms=9))
    world.leg(middle, second, asks(1, "/a", trace, took_ms=6), 1)
    world.leg(BACK, SERVER, asks(1, "/a", trace, took_ms=3), 2)
    assert world.joins(tmp_path) == [pair(middle, BACK, front=second), pair(A, middle, second)]


def test_a_proxy_that_takes_the_prefix_away(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, asks(1, "/shop/items/7?x=1", took_ms=4))
    world.leg(BACK, SERVER, asks(1, "/items/7?x=1", f"X-Forwarded-For: {A[0]}"), 1)
    assert world.joins(tmp_path) == [pair(A, BACK)]


@pytest.mark.parametrize(
    "header", ["x-forwarded-for: {0}", "X-Real-IP: {0}", 'Forwarded: proto=http;for="{0}"', "X-Client: {0}"]
)
def test_the_named_client_decides_between_equal_requests(tmp_path: Path, header: str) -> None:
    world = World()
    world.leg(A, FRONT, asks(1, "/a", took_ms=4))
    world.leg(B, FRONT, asks(1, "/a", took_ms=4))
    world.leg(BACK, SERVER, asks(2, "/a", header.format(A[0])))
    world.leg(BACK_2, SERVER_2, asks(2, "/a", header.format(B[0])))
    assert world.joins(tmp_path) == [pair(A, BACK), pair(B, BACK_2, SERVER_2)]


def test_two_connections_of_one_address_with_one_url_at_once_are_ambiguous(tmp_path: Path) -> None:
    world = World()
    named = f"X-Forwarded-For: {A[0]}"
    world.leg(A, FRONT, asks(1, "/a", took_ms=4))
    world.leg((A[0], 40001), FRONT, asks(1.1, "/a", took_ms=4))
    world.leg(BACK, SERVER, asks(2, "/a", named))
    world.leg(BACK_2, SERVER_2, asks(2.1, "/a", named))
    assert world.joins(tmp_path) == [unsure(BACK), unsure(BACK_2, SERVER_2)]


def test_a_short_value_tells_two_connections_of_one_address_apart(tmp_path: Path) -> None:
    world = World()
    calls = [(A, "X-Call: c-1"), ((A[0], A[1] + 1), "X-Call: c-2"), ((A[0], A[1] + 2), "X-Call: c-3")]
    for at, (client, mark) in enumerate(calls):
        world.leg(client, FRONT, asks(1, "/", mark, took_ms=4))
        world.leg((PROXY, 30000 + at), SERVER, asks(1, "/", mark.lower(), f"x-forwarded-for: {A[0]}"), 0.5)
    found = world.joins(tmp_path)
    assert sorted(found) == sorted(pair(client, (PROXY, 30000 + at)) for at, (client, _) in enumerate(calls))


def test_two_connections_of_one_address_one_after_the_other_are_not(tmp_path: Path) -> None:
    world = World()
    named = f"X-Forwarded-For: {A[0]}"
    world.leg(A, FRONT, asks(1, "/a", took_ms=4))
    world.leg((A[0], 40001), FRONT, asks(8, "/a", took_ms=4))
    world.leg(BACK, SERVER, [*asks(2, "/a", named), *asks(9, "/a", named)])
    assert world.joins(tmp_path) == [pair(A, BACK), pair((A[0], 40001), BACK)]


def test_each_request_is_served_once(tmp_path: Path) -> None:
    # The first pair fits by its times alone, and leaves the second to the other.
    world = World()
    named = f"X-Forwarded-For: {A[0]}"
    world.leg(A, FRONT, asks(1, "/a", took_ms=3))
    world.leg((A[0], 40001), FRONT, asks(1.1, "/a", took_ms=9))
    world.leg(BACK, SERVER, asks(1.5, "/a", named, took_ms=2))
    world.leg(BACK_2, SERVER_2, asks(1.5, "/a", named, took_ms=8))
    assert world.joins(tmp_path) == [pair(A, BACK), pair((A[0], 40001), BACK_2, SERVER_2)]


def test_an_address_with_its_port_finds_a_client_that_speaks_tls(tmp_path: Path) -> None:
    world = World()
    secret = [(1, False, b"\x17\x03\x03 secret"), (9, True, b"\x17\x03\x03 secret too")]
    world.leg(A, ("203.0.113.9", 443), secret)
    world.leg((A[0], 40001), ("203.0.113.9", 443), secret)
    world.leg(BACK, SERVER, asks(2, "/a", f"X-Forwarded-For: {A[0]}:{A[1]}"))
    assert world.joins(tmp_path) == [pair(A, BACK, front=("203.0.113.9", 443))]


def test_an_address_alone_finds_it_where_the_topology_ties_them(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, [(1, False, b"\x17\x03\x03 secret"), (9, True, b"\x17\x03\x03 secret too")])
    world.leg(BACK, SERVER, asks(2, "/a", f"X-Forwarded-For: {A[0]}"))
    assert world.joins(tmp_path) == []
    assert world.joins(tmp_path, TOPOLOGY) == [pair(A, BACK)]


def test_without_ids_the_topology_must_expect_the_pair(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, asks(1, "/only-here", took_ms=4))
    world.leg(BACK, SERVER, asks(2, "/only-here"))
    assert world.joins(tmp_path) == []
    assert world.joins(tmp_path, TOPOLOGY) == [pair(A, BACK)]
    assert world.joins(tmp_path, TOPOLOGY.replace("10.1.0.4", "10.1.0.77")) == []


def test_two_clients_with_one_url_at_once_and_no_ids_are_ambiguous(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, asks(1, "/a", took_ms=4))
    world.leg(B, FRONT, asks(1.1, "/a", took_ms=4))
    world.leg(BACK, SERVER, asks(2, "/a"))
    world.leg(BACK_2, SERVER_2, asks(2.1, "/a"))
    assert world.joins(tmp_path, TOPOLOGY) == [unsure(BACK), unsure(BACK_2, SERVER_2)]


def test_spares_what_a_translator_passed_through(tmp_path: Path) -> None:
    world = World()
    request = asks(1, "/a", "X-Request-Id: 7f3a0001-22", f"X-Forwarded-For: {A[0]}")
    talk(world.wire, [Hop("box", A, FRONT, 61, 0), Hop("box", A, SERVER, 60, 20_000)], request, isn=99)
    assert world.joins(tmp_path, TOPOLOGY) == []


@pytest.mark.parametrize("named", ["X-Request-Id: {0}-aaaa-bbbb-cccc", "X-Forwarded-For: 192.0.2.1"])
@pytest.mark.parametrize("ahead_s", [-300, 0, 300])
def test_clocks_minutes_apart_still_join(tmp_path: Path, ahead_s: int, named: str) -> None:
    world = World()
    world.wire.clock_ns["inside"] = ahead_s * 1000 * MS
    moments = [0, 130, 410, 520, 990, 1300, 1470, 2100]
    for at, moment in enumerate(moments):
        client = (A[0], 41000 + at)
        world.leg(client, FRONT, asks(1, "/a", named.format(at), took_ms=4), moment)
        world.leg((PROXY, 31000 + at), SERVER, asks(2, "/a", named.format(at)), moment, "inside")
    expected = [pair((A[0], 41000 + at), (PROXY, 31000 + at)) for at in range(len(moments))]
    assert world.joins(tmp_path, islands=True) == expected
    assert world.wire.frames["inside"][0][0] > T0 + (ahead_s - 1) * 1000 * MS


def test_a_request_inside_of_another_on_one_host_is_enough_where_the_rest_was_cut(tmp_path: Path) -> None:
    world, front = World(), (PROXY, 80)
    for number in range(6):
        source = (f"192.0.2.{10 + number}", 40000 + number)
        world.leg(source, front, asks(1, "/a", took_ms=2.4), 700 * number**1.5)
        world.leg((PROXY, 30000 + number), SERVER, asks(1, "/a", "Via: 1.1 p", took_ms=2), 700 * number**1.5 + 0.2)
    world.cut()
    assert len(world.joins(tmp_path)) == 6


@pytest.mark.parametrize(("came", "went", "joined"), [(0, 0, True), (2, 0, False), (0, 2, False)])
def test_spares_a_service_that_has_calls_of_its_own(tmp_path: Path, came: int, went: int, joined: bool) -> None:
    """One of its calls lies inside a request of the same line; others of the kind have no partner."""
    world, service, same = World(), (PROXY, 80), "User-Agent: curl/8"
    world.leg(A, service, asks(1, "/a", same, took_ms=4), 0)
    world.leg(BACK, SERVER, asks(1, "/a", same), 0.4)
    # The time that both sides were captured in.
    for at in (-300, 900):
        world.leg((A[0], 47000 + at), service, asks(1, "/z", took_ms=4), at)
        world.leg((PROXY, 37000 + at), SERVER, asks(1, "/z"), at + 50)
    for at in range(came):
        world.leg((A[0], 42000 + at), service, asks(1, "/a", same, took_ms=4), 100 * (at + 1))
    for at in range(went):
        world.leg((PROXY, 32000 + at), SERVER, asks(1, "/a", same), 100 * (at + 1))
    assert (pair(A, BACK, front=service) in world.joins(tmp_path)) is joined
