"""Hosts that call the world through a translator with few ports: what it takes from them and what it sends on."""

from __future__ import annotations

from tests.wire import ACK, FIN, MS, PSH, RST, SYN, T0, End, Hop, Wire

SNAT = "203.0.113.77"
SERVER: End = ("198.51.100.10", 443)
OTHER: End = ("198.51.100.20", 443)
HOSTS = ("10.9.0.4", "10.9.0.5")
SECOND = 1_000 * MS
START = T0 + SECOND

TOPOLOGY = """
[[snat]]
address = "203.0.113.77"
ports = "1024-1033"
inside = ["10.9.0.0/24"]
"""
"""Ten ports."""


def way(port: int, snat_port: int, server: End = SERVER, host: str = HOSTS[0], points: str = "in out") -> list[Hop]:
    """Inside the translator and outside of it."""
    hops = {
        "in": Hop("in", (host, port), server, 64, 50_000, 62),
        "out": Hop("out", (SNAT, snat_port), server, 63, 90_000, 63),
    }
    return [hops[name] for name in points.split()]


def hold(wire: Wire, hops: list[Hop], at: int, isn: int, seconds: float = 5.0, answer: int | None = None) -> None:
    """A connection that is opened, asks once and is closed after some seconds."""
    answer = isn + 77_777 if answer is None else answer
    end = at + int(seconds * SECOND)
    wire.packet(hops, at, SYN, isn)
    wire.packet(hops, at + MS, SYN | ACK, answer, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, answer + 1)
    wire.packet(hops, at + 3 * MS, PSH | ACK, isn + 1, answer + 1, b"ask %d" % isn)
    told = isn + 1 + len(b"ask %d" % isn)
    wire.packet(hops, at + 4 * MS, PSH | ACK, answer + 1, told, b"told", back=True)
    wire.packet(hops, end, FIN | ACK, told, answer + 5)
    wire.packet(hops, end + MS, FIN | ACK, answer + 5, told + 1, back=True)
    wire.packet(hops, end + 2 * MS, ACK, told + 1, answer + 6)


def challenge(wire: Wire, hops: list[Hop], at: int, isn: int, old_ack: int, old_seq: int) -> None:
    """A SYN that the server answers with the numbers of an older connection, and the client's reset."""
    wire.packet(hops, at, SYN, isn)
    wire.packet(hops, at + MS, ACK, old_seq, old_ack, back=True)
    wire.packet(hops, at + 2 * MS, RST, old_ack)


def numbers_after(isn: int) -> tuple[int, int]:
    """What the server of :func:`hold` acknowledges and sends next, once the request was answered."""
    return isn + 1 + len(b"ask %d" % isn), isn + 77_777 + 5
