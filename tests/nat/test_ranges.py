"""Connections older than the captures join although the captures began at different times."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import analyze
from tests.wire import ACK, MS, PSH, T0, Hop, Wire

pytestmark = pytest.mark.usefixtures("core")

SECOND = 1_000_000_000


def stream(
    wire: Wire, port: int, isn: int, answer: int, frontend: str = "203.0.113.9", member: str = "10.1.0.4"
) -> None:
    """A connection that goes on for twenty seconds; the member's point joins in after eight."""
    client = ("198.51.100.7", port)
    front = Hop("front", client, (frontend, 443), 61, 100_000, 63)
    back = Hop("back", client, (member, 9443), 60, 160_000, 64)
    for at in range(40):
        time = T0 + at * SECOND // 2
        hops = [front, back] if at >= 16 else [front]
        seq, ack = (isn + 100 * at) % 2**32, (answer + 200 * at) % 2**32
        wire.packet(hops, time, PSH | ACK, seq, ack, b"q%03d" % at * 25)
        wire.packet(hops, time + MS, PSH | ACK, ack, (seq + 100) % 2**32, b"a%03d" % at * 50, back=True)


@pytest.mark.parametrize("isn", [5_000, 2**32 - 1_500])
def test_a_point_that_began_later_joins_by_ranges(tmp_path: Path, isn: int) -> None:
    wire = Wire()
    for at in range(3):
        stream(wire, 40000 + at, isn + 1_000_000 * at, 9_000_000 + 5_000_000 * at)
    paths = analyze(wire.write(tmp_path)).paths
    assert [len(legs) for legs in paths["legs"]] == [2] * 3
    assert set(paths["method"]) == {"tuple"}
    assert all("same ranges of sequence numbers both ways" in reasons for reasons in paths["reasons"])


def test_spares_another_connection_of_the_same_port(tmp_path: Path) -> None:
    wire = Wire()
    client = ("198.51.100.7", 40000)
    for at in range(10):
        time = T0 + at * SECOND
        for point, end, ttl, base in (("front", "203.0.113.9", 61, 5_000), ("back", "10.1.0.4", 60, 700_000_000)):
            hop = Hop(point, client, (end, 443), ttl, 0, 124 - ttl)
            wire.packet([hop], time, PSH | ACK, base + 100 * at, base * 2 + 200 * at, b"q" * 100)
            wire.packet([hop], time + MS, PSH | ACK, base * 2 + 200 * at, base + 100 * at + 100, b"a" * 200, back=True)
    assert [len(legs) for legs in analyze(wire.write(tmp_path)).paths["legs"]] == [1, 1]
