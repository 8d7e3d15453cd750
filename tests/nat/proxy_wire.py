"""Proxies by hand: HTTP exchanges, PROXY headers and TLS hellos on both sides, and what is joined of them."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path

import polars as pl

from flowscope.analysis import Analysis, analyze
from flowscope.nat.clocks import Clock, Clocks
from flowscope.nat.proxies import join_proxied
from tests.wire import T0, End, Hop, Wire, talk

A, B = ("192.0.2.1", 40000), ("192.0.2.2", 50000)
FRONT, PROXY, SERVER, SERVER_2 = ("203.0.113.9", 80), "10.1.0.1", ("10.1.0.4", 8080), ("10.1.0.5", 8080)

TOPOLOGY = """
[[frontend]]
address = "203.0.113.9"
port = 80
pool = "web"
mode = "proxy"

[[pool]]
name = "web"
members = [{ address = "10.1.0.4", port = 8080 }, { address = "10.1.0.5", port = 8080 }]
"""

Turn = tuple[float, bool, bytes]


def asks(at_ms: float, target: str = "/", *headers: str, took_ms: float = 2.0, body: bytes = b"hello") -> list[Turn]:
    """A GET and its response."""
    head = "".join(f"{line}\r\n" for line in ("Host: shop", *headers))
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    return [(at_ms, False, f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()), (at_ms + took_ms, True, answer)]


class World:
    """A client's side at one point and a server's side at another, of one clock unless told otherwise."""

    def __init__(self) -> None:
        self.wire = Wire()
        self._isn = 1

    def leg(self, src: End, dst: End, turns: list[Turn], at_ms: float = 0, point: str = "box") -> None:
        """A connection of its own, seen at one point."""
        self._isn = (self._isn * 1_103_515_245 + 12_345) % 2**32
        talk(self.wire, [Hop(point, src, dst, delay_ns=0)], sorted(turns), T0 + int(at_ms * 1e6), self._isn)

    def cut(self, snap: int = 96) -> None:
        """Keeps so many bytes of each frame; lengths on the wire stay."""
        for point, frames in self.wire.frames.items():
            self.wire.frames[point] = [(at, data[:snap], length) for at, data, length in frames]

    def joins(self, folder: Path, topology: str | None = None, *, islands: bool = False) -> list[tuple[str, ...]]:
        """What was joined, see :func:`named`."""
        return named(*self.table(folder, topology, islands=islands))

    def table(
        self, folder: Path, topology: str | None = None, *, islands: bool = False
    ) -> tuple[pl.DataFrame, Analysis]:
        """What :func:`flowscope.nat.proxies.join_proxied` returns, and the analysis it worked on."""
        file = None
        if topology is not None:
            file = folder / "topology.toml"
            file.write_text(topology)
        analysis = analyze(self.wire.write(folder), topology=str(file) if file else None)
        return proxied(analysis, islands=islands), analysis


def proxied(analysis: Analysis, *, islands: bool = False) -> pl.DataFrame:
    """Joins the proxied legs of an analysis; its points have one clock, or (``islands``) nothing is known of them."""
    points = analysis.flows["point"].unique().to_list()
    same = analysis.legs.select("leg", "fwd_isn")
    passed = same.join(same, "fwd_isn", suffix="_b").filter(pl.col("leg") < pl.col("leg_b"))
    return join_proxied(
        analysis.legs,
        analysis.flows,
        analysis.messages,
        analysis.addresses,
        analysis.topology,
        passed.select(leg="leg_b", before="leg"),
        Clocks({point: Clock(point, point if islands else 0) for point in points}),
    )


def named(found: pl.DataFrame, analysis: Analysis) -> list[tuple[str, ...]]:
    """Client's end, called end, proxy's end, server's end, method; '?' stands for the client's side in doubt."""
    texts = analysis.addresses["text"]
    ends = {
        row["leg"]: (f"{texts[row['src']]}:{row['src_port']}", f"{texts[row['dst']]}:{row['dst_port']}")
        for row in analysis.legs.iter_rows(named=True)
    }
    return sorted(
        (*(ends[row["before"]] if row["before"] is not None else ("?",)), *ends[row["leg"]], row["method"])
        for row in found.iter_rows(named=True)
    )


def v1(src: End, dst: End) -> bytes:
    """A PROXY header in words."""
    family = ipaddress.ip_address(src[0]).version
    return f"PROXY TCP{family} {src[0]} {dst[0]} {src[1]} {dst[1]}\r\n".encode()


def v2(src: End, dst: End, command: int = 0x21) -> bytes:
    """A PROXY header in binary."""
    address = ipaddress.ip_address(src[0])
    ends = address.packed + ipaddress.ip_address(dst[0]).packed + struct.pack("!HH", src[1], dst[1])
    family = 0x11 if address.version == 4 else 0x21
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, family, len(ends)) + ends


def hello(random: bytes, name: str = "shop.example") -> bytes:
    """A TLS 1.2 ClientHello with this random and server name."""
    listed = struct.pack("!HBH", len(name) + 3, 0, len(name)) + name.encode()
    extensions = struct.pack("!HH", 0, len(listed)) + listed
    body = b"\x03\x03" + random.ljust(32, b"r") + b"\0" + b"\0\x02\x13\x01" + b"\x01\0"
    body += struct.pack("!H", len(extensions)) + extensions
    shake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack("!H", len(shake)) + shake
