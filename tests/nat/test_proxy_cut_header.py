"""A PROXY header of which the snap length left the client's address: the leg is the one whose bytes go with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat.proxy_wire import FRONT, PROXY, SERVER, A, B, World, v1, v2
from tests.wire import End

pytestmark = pytest.mark.usefixtures("core")


def served(
    world: World, client: End, port: int, at_ms: float, question: bytes, answer: bytes, front: End = FRONT
) -> None:
    """A client's connection and the proxy's, which begins with a header of its own."""
    world.leg(client, front, [(3.0, False, question), (5.0, True, answer)], at_ms)
    head = v1(client, front)
    turns = [(0.3, False, head), (2.6, False, question), (3.5, True, answer)]
    world.leg((PROXY, port), SERVER, turns, at_ms + 0.5)


def pair(client: End, port: int, front: End = FRONT) -> tuple[str, ...]:
    ends = (client, front, (PROXY, port), SERVER)
    return (*(f"{address}:{number}" for address, number in ends), "proxy-protocol")


def test_flags_the_leg_of_the_named_client(tmp_path: Path) -> None:
    world = World()
    served(world, A, 30000, 0, b"\x01 ask", b"\x02 tell")
    served(world, B, 30001, 0.2, b"\x01 ask", b"\x02 tell")
    world.cut()
    assert world.joins(tmp_path) == [pair(A, 30000), pair(B, 30001)]


def test_flags_two_connections_of_a_client_by_their_lengths(tmp_path: Path) -> None:
    world, other = World(), (A[0], 40001)
    served(world, A, 30000, 0, b"\x01 ask", b"\x02 tell")
    served(world, other, 30001, 0.1, b"\x01 ask more", b"\x02 tell more of it")
    world.cut()
    assert world.joins(tmp_path) == [pair(A, 30000), pair(other, 30001)]


def test_flags_an_address_of_version_6(tmp_path: Path) -> None:
    world, client, front = World(), ("2001:db8::7", 40000), ("2001:db8::9", 443)
    served(world, client, 30000, 0, b"\x01 ask", b"\x02 tell", front)
    world.cut(14 + 20 + 32 + len("PROXY TCP6 2001:db8::7 "))
    assert world.joins(tmp_path) == [pair(client, 30000, front)]


def test_spares_a_leg_that_the_header_would_be_too_long_for(tmp_path: Path) -> None:
    world = World()
    world.leg(A, ("203.0.113.99", 44300), [(3.0, False, b"\x01 ask"), (5.0, True, b"\x02 tell")])
    turns = [(0.3, False, v1(A, FRONT)), (2.6, False, b"\x01 ask"), (3.5, True, b"\x02 tell")]
    world.leg((PROXY, 30000), SERVER, turns, 0.5)
    world.cut()
    assert world.joins(tmp_path) == []


def test_spares_a_connection_that_came_later(tmp_path: Path) -> None:
    world = World()
    world.leg(A, FRONT, [(3.0, False, b"\x01 ask"), (5.0, True, b"\x02 tell")], 4)
    turns = [(0.3, False, v1(A, FRONT)), (2.6, False, b"\x01 ask"), (3.5, True, b"\x02 tell")]
    world.leg((PROXY, 30000), SERVER, turns)
    world.cut()
    assert world.joins(tmp_path) == []


def test_doubts_two_connections_of_a_client_that_are_alike_and_at_once(tmp_path: Path) -> None:
    world = World()
    for number in range(2):
        served(world, (A[0], 40000 + number), 30000 + number, 0.1 * number, b"\x01 ask", b"\x02 tell")
    world.cut()
    assert world.joins(tmp_path) == []


def test_a_cut_header_of_version_2_with_both_ends_is_as_good_as_a_whole_one(tmp_path: Path) -> None:
    world = World()
    tail = b"\x05\x00\x04\xab\xcd\xef\x01"
    whole = v2(A, FRONT)
    head = whole[:14] + (12 + len(tail)).to_bytes(2, "big") + whole[16:] + tail
    world.leg(A, FRONT, [(3.0, False, b"\x01 ask"), (5.0, True, b"\x02 tell")])
    world.leg((A[0], 40001), FRONT, [(3.0, False, b"\x01 ask"), (5.0, True, b"\x02 tell")])
    world.leg((PROXY, 30000), SERVER, [(0.3, False, head), (2.6, False, b"\x01 ask"), (3.5, True, b"\x02 tell")], 0.5)
    world.cut()
    assert world.joins(tmp_path) == [pair(A, 30000)]
