"""Inner and outer of a tunnel are one leg, at two points or in one file, and the leg names the tunnel."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from flowscope.analysis import Analysis, analyze
from tests.wire import T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

CLIENT, FRONTEND, MEMBER = ("198.51.100.7", 40000), ("203.0.113.9", 443), ("10.1.0.4", 9443)
Wrap = Callable[[bytes], bytes]


def outer(protocol: int, body: bytes) -> bytes:
    """An Ethernet frame between the tunnel's ends."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 9, 0, 64, protocol, 0)
    return bytes(12) + b"\x08\x00" + head + bytes([192, 0, 2, 1, 192, 0, 2, 2]) + body


def udp(port: int, body: bytes) -> bytes:
    return outer(17, struct.pack("!HHHH", 50000, port, 8 + len(body), 0) + body)


TUNNELS: dict[str, Wrap] = {
    "vxlan 42": lambda frame: udp(4789, b"\x08\0\0\0" + struct.pack("!I", 42 << 8) + frame),
    "geneve 42": lambda frame: udp(6081, b"\0\0\x65\x58" + struct.pack("!I", 42 << 8) + frame),
    "gre 7": lambda frame: outer(47, b"\x20\0\x08\0" + struct.pack("!I", 7) + frame[14:]),
    "gre": lambda frame: outer(47, b"\0\0\x08\0" + frame[14:]),
    "ipip": lambda frame: outer(4, frame[14:]),
}


def wrapped(frames: list[tuple[int, bytes, int]], wrap: Wrap) -> list[tuple[int, bytes, int]]:
    return [(at, wrap(frame), len(wrap(frame))) for at, frame, _ in frames]


def traffic() -> Wire:
    """Calls through a translator, seen before it (front), on the way (way) and at the member (vm)."""
    wire = Wire()
    for at in range(3):
        client = (CLIENT[0], CLIENT[1] + at)
        way = Hop("way", client, MEMBER, 60, 150_000, 64)
        accept(
            wire,
            [Hop("front", client, FRONTEND, 61, 100_000, 63), way, Hop("vm", client, MEMBER, 60, 170_000, 64)],
            T0 + at * 50_000_000,
            1000 + at,
            9000 + at,
        )
    return wire


def check(analysis: Analysis, tunnel: str, flows: int) -> None:
    assert analysis.paths.height == 3 and not analysis.findings
    assert analysis.paths["outcome"].to_list() == ["established"] * 3
    legs = {row["leg"]: row for row in analysis.legs.iter_rows(named=True)}
    for path in analysis.paths["legs"]:
        first, last = (legs[leg] for leg in path)
        assert (first["tunnels"], last["tunnels"]) == ([], [tunnel])
        assert len(last["flows"]) == flows


@pytest.mark.parametrize("tunnel", TUNNELS)
def test_outer_at_one_point_and_inner_at_another(tmp_path: Path, tunnel: str) -> None:
    wire = traffic()
    wire.frames["way"] = wrapped(wire.frames["way"], TUNNELS[tunnel])
    check(analyze(wire.write(tmp_path)), tunnel, 2)


@pytest.mark.parametrize("tunnel", TUNNELS)
def test_outer_and_inner_in_one_file(tmp_path: Path, tunnel: str) -> None:
    wire = traffic()
    wire.frames["vm"] += wrapped(wire.frames.pop("way"), TUNNELS[tunnel])
    analysis = analyze(wire.write(tmp_path))
    check(analysis, tunnel, 1)
    for half in ("fwd", "rev"):
        again = analysis.flows[f"{half}_retransmissions"] - analysis.flows[f"{half}_duplicates"]
        assert again.sum() == 0
