"""Proxies in a row: one that reads the header of another writes the same one, and stands behind it all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat.proxy_wire import FRONT, PROXY, SERVER, SERVER_2, A, World, asks, v1
from tests.wire import T0, End, Hop, talk

pytestmark = pytest.mark.usefixtures("core")

HEAD = v1(A, FRONT)
SECOND = ("10.1.0.2", 81)


def passed(world: World, src: End, dst: End, at_ms: float) -> None:
    world.leg(src, dst, [(0.5, False, HEAD + b"some bytes"), (6 - at_ms, True, b"other bytes")], at_ms)


def client(world: World) -> None:
    world.leg(A, FRONT, [(0.5, False, b"some bytes"), (6, True, b"other bytes")])


def test_the_connection_of_the_second_proxy_is_behind_that_of_the_first(tmp_path: Path) -> None:
    world = World()
    client(world)
    passed(world, (PROXY, 30000), SECOND, 1)
    passed(world, ("10.1.0.2", 31000), SERVER, 2)
    assert world.joins(tmp_path) == [
        ("10.1.0.1:30000", "10.1.0.2:81", "10.1.0.2:31000", "10.1.0.4:8080", "proxy-protocol"),
        ("192.0.2.1:40000", "203.0.113.9:80", "10.1.0.1:30000", "10.1.0.2:81", "proxy-protocol"),
    ]
    _, analysis = world.table(tmp_path)
    assert [len(legs) for legs in analysis.paths["legs"]] == [3]


def test_a_translator_between_the_two_changes_nothing(tmp_path: Path) -> None:
    world = World()
    client(world)
    called, middle = ("10.9.0.9", 80), (PROXY, 30000)
    hops = [Hop("box", middle, called, 64, 0), Hop("box", middle, SECOND, 63, 20_000)]
    talk(world.wire, hops, [(0.5, False, HEAD + b"some bytes"), (5, True, b"other bytes")], T0 + 1_000_000, 777)
    passed(world, ("10.1.0.2", 31000), SERVER, 2)
    _, analysis = world.table(tmp_path)
    assert [len(legs) for legs in analysis.paths["legs"]] == [4]


def test_spares_a_proxy_that_tried_another_server(tmp_path: Path) -> None:
    world = World()
    client(world)
    passed(world, (PROXY, 30000), SERVER_2, 1)
    passed(world, (PROXY, 30001), SERVER, 2)
    assert [row[0] for row in world.joins(tmp_path)] == ["192.0.2.1:40000"] * 2


def test_what_is_left_of_cut_headers_leads_past_no_proxy(tmp_path: Path) -> None:
    world = World()
    for number in range(6):
        at, turn = 300 * number, 1 + 0.2 * number
        source = (A[0], A[1] + number)
        head = v1(source, FRONT)
        world.leg(source, FRONT, asks(turn, "/a", took_ms=5), at)
        for src, dst, later in (
            ((PROXY, 30000 + number), SECOND, 0.4),
            (("10.1.0.2", 31000 + number), SERVER, 0.8),
        ):
            (_, _, request), (_, _, answer) = asks(0, "/a")
            turns = [(0.1, False, head), (turn, False, request), (turn + 5 - 2 * later, True, answer)]
            world.leg(src, dst, turns, at + later)
    world.cut()
    firsts = {row[0].rpartition(":")[0] for row in world.joins(tmp_path) if row[3] == "10.1.0.4:8080"}
    assert firsts == {PROXY}
