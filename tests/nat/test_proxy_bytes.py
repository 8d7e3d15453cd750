"""Streams that cannot be read are joined by their bytes, or by time where the topology expects it; never by a guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat.proxy_wire import FRONT, PROXY, SERVER, SERVER_2, TOPOLOGY, A, B, Turn, World, asks, hello

pytestmark = pytest.mark.usefixtures("core")

BACK, BACK_2 = (PROXY, 30000), (PROXY, 30001)
ENDS = ("192.0.2.1:40000", "203.0.113.9:80", "10.1.0.1:30000", "10.1.0.4:8080")
SECOND = ("192.0.2.2:50000", "203.0.113.9:80", "10.1.0.1:30001", "10.1.0.5:8080")


def bytes_of(ask: bytes, answer: bytes, took_ms: float = 4) -> list[Turn]:
    return [(1, False, ask), (1 + took_ms, True, answer)]


def test_a_client_hello_that_is_passed_on_joins(tmp_path: Path) -> None:
    world = World()
    for random, client, back, server in ((b"one", A, BACK, SERVER), (b"two", B, BACK_2, SERVER_2)):
        world.leg(client, FRONT, bytes_of(hello(random), b"\x16\x03\x03"))
        world.leg(back, server, bytes_of(hello(random), b"\x16\x03\x03", 3), 0.5)
    assert world.joins(tmp_path) == [(*ENDS, "payload"), (*SECOND, "payload")]


def test_spares_a_client_hello_that_is_sent_again_later(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, bytes_of(hello(b"one"), b"\x16\x03\x03"))
    world.leg(BACK, SERVER, bytes_of(hello(b"one"), b"\x16\x03\x03"), 60_000)
    assert world.joins(tmp_path) == []


def test_first_bytes_join_where_the_topology_ties(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, bytes_of(b"SELECT 1", b"one row"))
    world.leg(B, FRONT, bytes_of(b"SELECT 2", b"two rows"))
    world.leg(BACK, SERVER, bytes_of(b"SELECT 1", b"one row", 3), 0.5)
    world.leg(BACK_2, SERVER_2, bytes_of(b"SELECT 2", b"two rows", 3), 0.5)
    assert world.joins(tmp_path) == []
    assert world.joins(tmp_path, TOPOLOGY) == [(*ENDS, "payload"), (*SECOND, "payload")]


def test_spares_the_same_bytes_again_seconds_later(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, bytes_of(b"SELECT 1", b"one row"))
    world.leg(BACK, SERVER, bytes_of(b"SELECT 1", b"one row"), 10_000)
    assert world.joins(tmp_path, TOPOLOGY) == []


def test_equal_streams_at_once_are_ambiguous(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, bytes_of(b"SELECT 1", b"one row"))
    world.leg(B, FRONT, bytes_of(b"SELECT 1", b"one row"), 0.2)
    world.leg(BACK, SERVER, bytes_of(b"SELECT 1", b"one row", 3), 0.5)
    assert world.joins(tmp_path, TOPOLOGY) == [("?", *ENDS[2:], "payload")]


def test_time_alone_joins_where_the_topology_ties_and_never_surely(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, bytes_of(hello(b"outer"), b"\x16\x03\x03", 40))
    world.leg(BACK, SERVER, bytes_of(hello(b"inner"), b"\x16\x03\x03", 9), 20)
    world.leg(B, FRONT, bytes_of(hello(b"outer 2"), b"\x16\x03\x03", 40), 5000)
    world.leg(BACK_2, SERVER_2, bytes_of(hello(b"inner 2"), b"\x16\x03\x03", 9), 5020)
    assert world.joins(tmp_path) == []
    assert world.joins(tmp_path, TOPOLOGY) == [(*ENDS, "timing"), (*SECOND, "timing")]
    assert world.table(tmp_path, TOPOLOGY)[0]["bits"].max() <= 6.0


def test_time_alone_is_ambiguous_when_two_fit(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, bytes_of(hello(b"outer"), b"\x16\x03\x03", 40))
    world.leg(B, FRONT, bytes_of(hello(b"outer 2"), b"\x16\x03\x03", 40), 10)
    world.leg(BACK, SERVER, bytes_of(hello(b"inner"), b"\x16\x03\x03", 9), 20)
    assert world.joins(tmp_path, TOPOLOGY) == [("?", *ENDS[2:], "timing")]


@pytest.mark.parametrize(("name", "joined"), [("shop.example", 1), ("stock.example", 0)])
def test_one_host_ties_when_it_calls_the_server_by_the_same_name(tmp_path: Path, name: str, joined: int) -> None:
    world = World()
    host = FRONT[0]
    world.leg(A, FRONT, bytes_of(hello(b"outer"), b"\x16\x03\x03", 40))
    world.leg((host, 30000), SERVER, bytes_of(hello(b"inner", name), b"\x16\x03\x03", 9), 20)
    assert len(world.joins(tmp_path)) == joined


def test_spares_a_client_that_also_calls_the_server_itself(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, bytes_of(hello(b"outer"), b"\x16\x03\x03", 40))
    world.leg((B[0], 50001), SERVER, bytes_of(hello(b"inner"), b"\x16\x03\x03", 9), 20)
    world.leg(B, FRONT, bytes_of(hello(b"outer 2"), b"\x16\x03\x03", 40), 9000)
    assert world.joins(tmp_path, TOPOLOGY) == []


def test_spares_a_client_that_calls_the_server_now_and_then(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, bytes_of(hello(b"outer"), b"\x16\x03\x03", 40))
    world.leg((B[0], 50001), SERVER, bytes_of(hello(b"inner"), b"\x16\x03\x03", 9), 20)
    for at in range(5):
        world.leg((PROXY, 30000 + at), SERVER, bytes_of(hello(b"inner %d" % at), b"\x16\x03\x03", 9), 9000 + 50 * at)
    assert world.joins(tmp_path, TOPOLOGY) == []


def test_spares_health_checks_of_the_proxy(tmp_path: Path) -> None:
    probe = '[pool.probe]\nsource = ["10.1.0.1"]\nprotocol = "https"\n'
    world = World()
    world.leg(A, FRONT, bytes_of(hello(b"outer"), b"\x16\x03\x03", 40))
    world.leg(BACK, SERVER, bytes_of(hello(b"check"), b"\x16\x03\x03", 9), 20)
    assert world.joins(tmp_path, TOPOLOGY + probe) == []


def test_spares_checks_in_clear_while_a_client_asks(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, asks(1, "/shop", took_ms=40))
    world.leg(BACK, SERVER, asks(1, "/healthz"), 20)
    assert world.joins(tmp_path, TOPOLOGY) == []
