"""A PROXY header names the client's leg: exactly one, of the right time, the nearest that was captured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.nat.proxy_wire import FRONT, PROXY, SERVER, A, B, World, v1, v2
from tests.wire import End, Hop, talk

pytestmark = pytest.mark.usefixtures("core")

BYTES = [(3.0, False, b"some bytes"), (5.0, True, b"other bytes")]
BACK = (PROXY, 30000)


def back(world: World, head: bytes, at_ms: float = 1, src: End = BACK) -> None:
    world.leg(src, SERVER, [(0.5, False, head + b"some bytes"), (2, True, b"other bytes")], at_ms)


def joined(client: str, src: str = f"{PROXY}:30000", dst: str = "203.0.113.9:80") -> tuple[str, ...]:
    return (client, dst, src, "10.1.0.4:8080", "proxy-protocol")


@pytest.mark.parametrize("header", [v1, v2])
def test_the_header_names_the_leg(tmp_path: Path, header: Callable[[End, End], bytes]) -> None:
    world = World()
    world.leg(A, FRONT, BYTES)
    world.leg(B, FRONT, BYTES)
    back(world, header(B, FRONT))
    assert world.joins(tmp_path) == [joined("192.0.2.2:50000")]


def test_addresses_of_both_versions(tmp_path: Path) -> None:
    world = World()
    client, front = ("2001:db8::7", 40000), ("2001:db8::9", 443)
    world.leg(client, front, BYTES)
    back(world, v2(client, front))
    assert world.joins(tmp_path) == [joined("2001:db8::7:40000", dst="2001:db8::9:443")]


def test_a_mapped_address_is_the_ipv4_one(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, BYTES)
    back(world, v2(("::ffff:192.0.2.1", A[1]), ("::ffff:203.0.113.9", FRONT[1])))
    assert world.joins(tmp_path) == [joined("192.0.2.1:40000")]


def test_of_a_port_used_again_the_connection_of_that_time(tmp_path: Path) -> None:
    world = World()
    for at_ms, port in ((0, 30000), (4000, 30001), (9000, 30002)):
        world.leg(A, FRONT, BYTES, at_ms)
        back(world, v2(A, FRONT), at_ms + 1, (PROXY, port))
    found, _ = world.table(tmp_path)
    starts = [0, 2, 4]
    assert found.sort("leg").select("leg", "before").rows() == [(leg + 1, leg) for leg in starts]


@pytest.mark.parametrize("at_ms", [-50, 60_000])
def test_a_leg_before_its_client_or_long_after_it_is_not_its(tmp_path: Path, at_ms: float) -> None:
    world = World()
    world.leg(A, FRONT, BYTES, 100)
    back(world, v2(A, FRONT), 100 + at_ms)
    assert world.joins(tmp_path) == []


def test_a_proxy_that_speaks_for_itself_has_no_client(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, BYTES)
    back(world, v2(A, FRONT, command=0x20))
    back(world, b"PROXY UNKNOWN\r\n", 2, (PROXY, 30001))
    assert world.joins(tmp_path) == []


def test_of_two_headers_the_first_names_the_nearest_leg(tmp_path: Path) -> None:
    world = World()
    middle, second = ("10.5.0.1", 20000), ("10.5.0.9", 81)
    head = v2(A, FRONT)
    world.leg(A, FRONT, BYTES)
    world.leg(middle, second, [(0.5, False, head + b"some bytes"), (3, True, b"other bytes")], 1)
    back(world, v2(middle, second) + head, 2)
    assert world.joins(tmp_path) == [
        joined("10.5.0.1:20000", dst="10.5.0.9:81"),
        ("192.0.2.1:40000", "203.0.113.9:80", "10.5.0.1:20000", "10.5.0.9:81", "proxy-protocol"),
    ]


def test_where_the_nearest_was_not_captured_the_next_header_counts(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, BYTES)
    back(world, v1(("10.5.0.1", 20000), ("10.5.0.9", 81)) + v1(A, FRONT))
    assert world.joins(tmp_path) == [joined("192.0.2.1:40000")]


def test_a_destination_that_was_rewritten_before_the_proxy(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, BYTES)
    back(world, v2(A, ("10.1.0.1", 8000)))
    found, _ = world.table(tmp_path)
    assert (found["method"].item(), found["before"].item(), found["bits"].item()) == ("proxy-protocol", 0, 14.0)


def test_the_same_port_to_two_frontends_at_once_is_ambiguous(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, BYTES)
    world.leg(A, ("203.0.113.10", 80), BYTES)
    back(world, v2(A, ("10.1.0.1", 8000)))
    assert world.joins(tmp_path) == [("?", f"{PROXY}:30000", "10.1.0.4:8080", "proxy-protocol")]


def test_behind_a_translator_the_leg_that_reaches_the_proxy_is_meant(tmp_path: Path) -> None:
    world = World()
    inner = ("10.1.0.1", 8000)
    hops = [Hop("box", A, FRONT, 61, 0), Hop("box", A, inner, 60, 20_000)]
    talk(world.wire, hops, BYTES, isn=777)
    # The proxy asked the kernel for the original destination.
    back(world, v2(A, FRONT))
    assert world.joins(tmp_path) == [joined("192.0.2.1:40000", dst="10.1.0.1:8000")]
