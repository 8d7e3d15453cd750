"""Server connections that are kept for one client decide between requests that are alike, shared ones do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat.proxy_wire import FRONT, PROXY, SERVER, TOPOLOGY, World, asks
from tests.wire import End

pytestmark = pytest.mark.usefixtures("core")


def client(number: int) -> End:
    return f"192.0.2.{10 + number}", 40000 + number


def both(number: int) -> tuple[str, ...]:
    ends = (client(number), FRONT, (PROXY, 30000 + number), SERVER)
    return (*(f"{address}:{port}" for address, port in ends), "proxy-request")


def world_of(shared: bool) -> World:
    """Six clients with two requests each, and two more whose second requests come at once.

    Each has a server connection of its own, or (``shared``) two of the six take turns on two connections.
    """
    world = World()
    for number in range(6):
        own = number ^ 1 if shared else number
        first, second = asks(1, "/a", took_ms=4), asks(41, "/b", took_ms=4)
        world.leg(client(number), FRONT, first + second, 200 * (number // 2) + 10 * (number % 2))
        start = 200 * (number // 2)
        turns = asks(1.5 + 10 * (number % 2), "/a") + asks(41.5 + 10 * (own % 2), "/b")
        world.leg((PROXY, 30000 + number), SERVER, turns, start)
    for number in (6, 7):
        apart_ms = 0.02 * number
        late = 20 * (number - 6)
        world.leg(client(number), FRONT, asks(1 + late, "/a", took_ms=4) + asks(81 + apart_ms, "/b", took_ms=4), 900)
        turns = asks(1.5 + late, "/a") + asks(81.5 + apart_ms, "/b")
        world.leg((PROXY, 30000 + number), SERVER, turns, 900)
    world.cut()
    return world


def requests(world: World, folder: Path) -> dict[str, int]:
    """How many requests were told of each of the last two clients."""
    table, analysis = world.table(folder, TOPOLOGY)
    port = dict(analysis.legs.select("leg", "src_port").iter_rows())
    rows = table.drop_nulls("before").select("before", "leg", "requests").iter_rows()
    return {f"{port[one]} {port[other]}": count for one, other, count in rows if port[one] in (40006, 40007)}


def test_flags_a_request_on_the_clients_own_connection(tmp_path: Path) -> None:
    assert requests(world_of(shared=False), tmp_path) == {"40006 30006": 2, "40007 30007": 2}


def test_doubts_a_request_where_connections_are_shared(tmp_path: Path) -> None:
    assert requests(world_of(shared=True), tmp_path) == {"40006 30006": 1, "40007 30007": 1}


def test_no_pair_is_joined_that_is_not_one(tmp_path: Path) -> None:
    assert sorted(world_of(shared=False).joins(tmp_path, TOPOLOGY)) == sorted(both(number) for number in range(8))
