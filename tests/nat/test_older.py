"""What the report says of connections older than the captures whose sides nothing ties together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules.scene import TOPOLOGY, call, judged
from tests.wire import ACK, MS, PSH, T0, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
SECOND = 1_000_000_000


def goes_on(wire: Wire, points: str, at: int, seq: int, port: int) -> None:
    """Requests and answers of a connection that was opened long before."""
    hops = call(0, port, points=points)
    for turn in range(4):
        time = T0 + at * SECOND + turn * 100 * MS
        wire.packet(hops, time, PSH | ACK, seq + 100 * turn, seq + 100 * turn, b"q" * 100)
        wire.packet(hops, time + MS, PSH | ACK, seq + 100 * turn, seq + 100 * turn + 100, b"a" * 100, back=True)


def halves(wire: Wire, *, later: int, farther: int) -> None:
    """Three connections at the client's side, and the same ones at the member later and farther on."""
    for at in range(3):
        seq = 500_000_000 * (at + 1)
        goes_on(wire, "front", 0, seq, 40000 + at)
        goes_on(wire, "host", later, seq + farther, 40000 + at)


@pytest.mark.parametrize("topology", [TOPOLOGY, None])
def test_tells_how_many_why_and_where_to_capture(tmp_path: Path, topology: str | None) -> None:
    wire = Wire()
    halves(wire, later=60, farther=5_000_000)
    (told,) = judged(wire, tmp_path, topology).problems
    assert told.startswith("3 connections to a frontend (at front) and 3 to members (at a) are older")
    assert "were not captured at the same time" in told
    assert told.endswith("tcpdump -ni any -s 128 -w both.pcap 'tcp and (host 203.0.113.9 or host 10.1.0.4)'")


def test_says_so_where_both_sides_were_captured_all_the_time(tmp_path: Path) -> None:
    wire = Wire()
    halves(wire, later=20, farther=5_000_000)
    for at in (0, 40):
        accept(wire, call(0, 45000 + at), T0 + at * SECOND, isn=77 + at, answer=6)
    (told,) = judged(wire, tmp_path).problems
    assert "they sent nothing while both were captured" in told


def test_says_nothing_of_connections_that_were_put_together(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        goes_on(wire, "front host", 0, 500_000_000 * (at + 1), 40000 + at)
    assert judged(wire, tmp_path).problems == []


def test_says_nothing_where_one_side_only_was_captured(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        goes_on(wire, "front", 0, 500_000_000 * (at + 1), 40000 + at)
        accept(wire, call(0, 45000 + at, points="host"), T0 + at * SECOND, isn=77 + at, answer=6)
    assert judged(wire, tmp_path).problems == []
