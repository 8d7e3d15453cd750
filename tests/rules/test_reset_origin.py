"""Resets in mid-connection that something on the way sent: what is told, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.rules.scene import CLIENTS, MEMBERS, TOPOLOGY, call, judged
from tests.wire import ACK, MS, PSH, RST, SYN, T0, Hop, Wire

pytestmark = pytest.mark.usefixtures("core")


def cut(wire: Wire, hops: list[Hop], ttl: int, isn: int, *, back: bool = True) -> None:
    """A request, and a RST with this TTL at once."""
    wire.packet(hops, T0, SYN, isn)
    wire.packet(hops, T0 + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, T0 + 2 * MS, ACK, isn + 1, 9001)
    wire.packet(hops, T0 + 3 * MS, PSH | ACK, isn + 1, 9001, b"question")
    near = [replace(hop, reply_ttl=ttl) if back else replace(hop, ttl=ttl) for hop in hops[:1]]
    wire.packet(near, T0 + 4 * MS, RST | ACK, 9001 if back else isn + 9, isn + 9 if back else 9001, back=back)


@pytest.mark.parametrize("topology", [TOPOLOGY, None])
def test_tells_resets_whose_ttl_is_not_the_server_s(tmp_path: Path, topology: str | None) -> None:
    wire = Wire()
    for at in range(3):
        cut(wire, call(0, 40000 + at), 250, 7000 * at)
    (told,) = judged(wire, tmp_path, topology).problems
    assert told.startswith("3 connections to 203.0.113.9:443 met a RST in the name of the server")
    assert "TTL 250 at front (first: frame 13 of front.pcap)" in told and "have 63" in told
    assert "tcpdump -ni any" in told


def test_says_nothing_of_a_server_that_resets(tmp_path: Path) -> None:
    wire = Wire()
    cut(wire, call(0), 63, 7000)
    assert judged(wire, tmp_path).problems == []


def test_tells_a_reset_in_the_name_of_the_client(tmp_path: Path) -> None:
    """A balancer that resets both ends of an idle connection."""
    wire = Wire()
    cut(wire, [Hop("x", (CLIENTS[0], 40000), MEMBERS[0], 57)], 64, 7000, back=False)
    (told,) = judged(wire, tmp_path).problems
    assert "in the name of the client" in told and "TTL 64 at x" in told


def test_many_services_are_counted(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(9):
        cut(wire, [Hop("x", (CLIENTS[0], 40000 + at), (f"192.0.2.{at}", 80), 57, reply_ttl=50)], 64, 7000 * at)
    problems = judged(wire, tmp_path, None).problems
    assert len(problems) == 6
    assert problems[-1] == "4 connections to 4 other services were reset in the same way."
