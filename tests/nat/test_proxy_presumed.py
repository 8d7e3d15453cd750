"""Proxies that nothing names: they are known by how closely their calls follow their clients', or not at all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.nat.proxy_wire import FRONT, PROXY, SERVER, SERVER_2, World, asks
from tests.wire import End

pytestmark = pytest.mark.usefixtures("core")


def client(number: int) -> End:
    return f"192.0.2.{10 + number % 20}", 40000 + number


def pair(number: int, front: End = FRONT, server: End = SERVER) -> tuple[str, ...]:
    ends = (client(number), front, (PROXY, 30000 + number), server)
    return (*(f"{address}:{port}" for address, port in ends), "proxy-request")


def moments(count: int, seed: int = 1) -> list[float]:
    """Irregular times in milliseconds, as people and programs call."""
    rng, at, found = random.Random(seed), 0.0, []
    for _ in range(count):
        at += rng.uniform(20, 200)
        found.append(at)
    return found


def call(world: World, number: int, at_ms: float, *, to: End = SERVER, after_ms: float = 0.6, size: int = 5) -> None:
    """A client's request and the one that follows it."""
    world.leg(client(number), FRONT, asks(1, "/a", took_ms=4, body=b"b" * size), at_ms)
    passed = asks(1, "/a", f"X-Forwarded-For: {client(number)[0]}", took_ms=2, body=b"b" * size)
    world.leg((PROXY, 30000 + number), to, passed, at_ms + after_ms)


def test_flags_a_proxy_by_the_times_of_its_calls(tmp_path: Path) -> None:
    world = World()
    for number, at_ms in enumerate(moments(12)):
        call(world, number, at_ms, to=(SERVER, SERVER_2)[number % 2])
    world.cut()
    expected = [pair(number, server=(SERVER, SERVER_2)[number % 2]) for number in range(12)]
    assert sorted(world.joins(tmp_path)) == sorted(expected)


def test_a_presumed_proxy_says_what_it_rests_on(tmp_path: Path) -> None:
    world = World()
    for number, at_ms in enumerate(moments(12)):
        call(world, number, at_ms)
    world.cut()
    table, analysis = world.table(tmp_path)
    rest = (
        "12 requests of its clients were each followed by the same request of the proxy within 0.0 ms, and 100 % of "
        "the proxy's requests follow one"
    )
    assert rest in table["reasons"][0]
    assert "same request line" in analysis.paths["reasons"][0].to_list()
    assert analysis.inferred.topology.frontends[0].mode == "proxy"


def test_flags_a_proxy_whose_sides_are_cut_at_different_places(tmp_path: Path) -> None:
    world = World()
    for number, at_ms in enumerate(moments(12)):
        target = f"/articles/of/the/{'day' if number % 2 else 'year'}"
        world.leg(client(number), FRONT, asks(1, target, took_ms=4), at_ms, "outside")
        world.leg((PROXY, 30000 + number), SERVER, asks(1, target, "Via: 1.1 p", took_ms=2), at_ms + 0.6, "inside")
    frames = world.wire.frames
    for point, snap in (("outside", 96), ("inside", 88)):
        frames[point] = [(at, data[:snap], length) for at, data, length in frames[point]]
    assert sorted(world.joins(tmp_path)) == sorted(pair(number) for number in range(12))


def test_flags_a_proxy_between_families_whose_statuses_were_cut(tmp_path: Path) -> None:
    # 96 bytes leave ten of a client's payload behind the longer header, and thirty of a server's.
    world = World()
    clients = [(f"2001:db8::{10 + number}", 40000 + number) for number in range(12)]
    for number, at_ms in enumerate(moments(12)):
        world.leg(clients[number], ("2001:db8::9", 80), asks(1, "/articles", took_ms=2.4), at_ms)
        world.leg((PROXY, 30000 + number), SERVER, asks(1, "/articles", "Via: 1.1 p", took_ms=2), at_ms + 0.2)
    world.cut()
    ends = [f"{address}:{port}" for address, port in clients]
    joins = world.joins(tmp_path)
    assert sorted(row[0] for row in joins) == sorted(ends)
    assert all(f"{PROXY}:3{row[0][-4:]}" == row[2] for row in joins)


def test_flags_a_proxy_that_was_stalled_now_and_then(tmp_path: Path) -> None:
    world = World()
    for number, at_ms in enumerate(moments(16)):
        late = 60 if number % 4 == 3 else 0
        world.leg(client(number), FRONT, asks(1, "/a", took_ms=4 + late), 3 * at_ms)
        world.leg((PROXY, 30000 + number), SERVER, asks(1, "/a", "Via: 1.1 p", took_ms=2), 3 * at_ms + 0.6 + late)
    assert len(world.joins(tmp_path)) >= 12


def test_flags_a_proxy_that_also_checks_its_members(tmp_path: Path) -> None:
    world = World()
    for number, at_ms in enumerate(moments(12)):
        call(world, number, at_ms)
    for number in range(20):
        world.leg((PROXY, 50000 + number), SERVER, asks(1, "/healthz"), 60 * number)
    world.cut()
    assert sorted(world.joins(tmp_path)) == sorted(pair(number) for number in range(12))


def test_spares_two_monitors_that_keep_the_same_schedule(tmp_path: Path) -> None:
    world, rng = World(), random.Random(7)
    for number in range(30):
        world.leg(client(number), FRONT, asks(1, "/status", took_ms=4), 1000 * number + rng.uniform(0, 0.6))
        late = 1000 * number + 0.7 + rng.uniform(0, 0.6)
        world.leg((PROXY, 30000 + number), SERVER, asks(1, "/status", took_ms=2), late)
    world.cut()
    assert world.joins(tmp_path) == []


def test_spares_clients_of_two_servers_that_ask_the_same(tmp_path: Path) -> None:
    world = World()
    for number, (here, there) in enumerate(zip(moments(300, 1), moments(300, 2), strict=True)):
        world.leg(client(number), FRONT, asks(1, "/", took_ms=15), here)
        world.leg((PROXY, 30000 + number), SERVER, asks(1, "/", took_ms=1), there)
    world.cut()
    assert world.joins(tmp_path) == []


def test_spares_a_service_that_calls_another_now_and_then(tmp_path: Path) -> None:
    # Half of its calls have reasons of their own.
    world = World()
    for number, at_ms in enumerate(moments(12)):
        call(world, number, at_ms)
        world.leg((PROXY, 50000 + number), SERVER, asks(1, "/a"), at_ms + 11)
    world.cut()
    assert world.joins(tmp_path) == []


def test_doubts_a_proxy_with_few_calls(tmp_path: Path) -> None:
    world = World()
    for number, at_ms in enumerate(moments(7)):
        call(world, number, at_ms)
    world.cut()
    assert world.joins(tmp_path) == []


def test_doubts_two_clients_that_ask_the_same_at_once(tmp_path: Path) -> None:
    world, times = World(), moments(13)
    for number, at_ms in enumerate(times[:12]):
        call(world, number, at_ms)
    for number in (12, 13):
        call(world, number, times[12] + 0.02 * number, after_ms=0.3)
    world.cut()
    found = world.joins(tmp_path)
    joined = [one for one in found if one[0] != "?"]
    assert sorted(joined) == sorted(pair(number) for number in range(12))
    doubts = [("?", f"{PROXY}:{30000 + number}", "10.1.0.4:8080", "proxy-request") for number in (12, 13)]
    assert [one for one in found if one[0] == "?"] == doubts


def test_two_clients_that_ask_at_once_are_told_apart_by_their_lengths(tmp_path: Path) -> None:
    world, times = World(), moments(13)
    for number, at_ms in enumerate(times[:12]):
        call(world, number, at_ms)
    for number in (12, 13):
        call(world, number, times[12] + 0.02 * number, after_ms=0.3, size=5 + number)
    world.cut()
    assert sorted(world.joins(tmp_path)) == sorted(pair(number) for number in range(14))
