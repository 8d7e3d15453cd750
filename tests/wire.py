"""Packets by hand, seen at several points: TCP connections through translators, written as pcap files.

A connection is a list of hops; each hop is a point, the tuple that packets have there, and how far it is from the
client. Rules and the matcher are tried on what the core reads from these files, not on tables made to please them.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

T0 = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""
MS = 1_000_000
SYN, ACK, RST, FIN, PSH = 2, 16, 4, 1, 8

End = tuple[str, int]


@dataclass(frozen=True)
class Hop:
    """One point on the way, nearest to the client first."""

    point: str
    src: End
    dst: End
    ttl: int = 64
    delay_ns: int = 50_000
    """From the client."""
    reply_ttl: int = 64
    packet_type: int | None = None
    """Linux cooked packet type of packets from the client; Ethernet when None. Replies get the opposite one."""


@dataclass
class Wire:
    """Frames of several points; :meth:`write` makes the files."""

    clock_ns: dict[str, int] = field(default_factory=dict)
    """How far the clock of a point is ahead."""
    frames: dict[str, list[tuple[int, bytes, int]]] = field(default_factory=dict)
    cooked: set[str] = field(default_factory=set)
    _ids: int = 0

    def packet(
        self,
        hops: Sequence[Hop],
        time_ns: int,
        flags: int,
        seq: int,
        ack: int = 0,
        payload: bytes = b"",
        *,
        back: bool = False,
        upto: int | None = None,
        ip_id: int | None = None,
        tsval: int = 1000,
        window: int = 64240,
        snap: int | None = None,
    ) -> None:
        """Sends one packet along the hops (``back``: the other way); it gets lost after ``upto`` of them."""
        self._ids = self._ids % 65000 + 1
        way = list(hops)[::-1] if back else list(hops)
        farthest = max(hop.delay_ns for hop in hops)
        for hop in way[: len(way) if upto is None else upto]:
            src, dst = (hop.dst, hop.src) if back else (hop.src, hop.dst)
            at = time_ns + (farthest - hop.delay_ns if back else hop.delay_ns)
            ttl = hop.reply_ttl if back else hop.ttl
            tcp = _tcp(src, dst, flags, seq, ack, window, payload, tsval)
            body = _ip(src[0], dst[0], ttl, 6, tcp, self._ids if ip_id is None else ip_id)
            kind = None if hop.packet_type is None else (4 - hop.packet_type if back else hop.packet_type)
            self._add(hop.point, at, body, src[0], kind, snap)

    def icmp_error(
        self, hops: Sequence[Hop], time_ns: int, sender: str, kind: int, code: int, seq: int, *, upto: int | None = None
    ) -> None:
        """An ICMP error about the SYN with this number, sent back along the hops."""
        for hop in list(hops)[::-1][: len(hops) if upto is None else upto]:
            quoted = _ip(hop.src[0], hop.dst[0], hop.ttl, 6, _tcp(hop.src, hop.dst, SYN, seq, 0, 0, b"", 0)[:8], 7)
            message = struct.pack("!BBHI", kind, code, 0, 0) + quoted
            protocol = 58 if ":" in sender else 1
            body = _ip(sender, hop.src[0], hop.reply_ttl, protocol, message, 9)
            self._add(hop.point, time_ns, body, sender, None, None)

    def _add(self, point: str, at: int, body: bytes, src: str, packet_type: int | None, snap: int | None) -> None:
        version = 0x86DD if ":" in src else 0x0800
        if packet_type is None:
            frame = bytes(12) + struct.pack("!H", version) + body
        else:
            self.cooked.add(point)
            frame = struct.pack("!HHIHBB8s", version, 0, 2, 1, packet_type, 6, bytes(8)) + body
        length = len(frame)
        self.frames.setdefault(point, []).append((at + self.clock_ns.get(point, 0), frame[:snap], length))

    def write(self, folder: Path) -> list[str]:
        """One nanosecond pcap per point, in time order; returns the paths in order of the points' first use."""
        paths = []
        for point, frames in self.frames.items():
            path = folder / f"{point}.pcap"
            link = 276 if point in self.cooked else 1
            data = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, link)]
            for at, frame, length in sorted(frames, key=lambda one: one[0]):
                data.append(struct.pack("<IIII", at // 10**9, at % 10**9, len(frame), length) + frame)
            path.write_bytes(b"".join(data))
            paths.append(str(path))
        return paths


def accept(
    wire: Wire, hops: Sequence[Hop], time_ns: int = T0, isn: int = 1000, answer: int = 9000, **options: int
) -> None:
    """A connection that works: handshake, one request, one response, an orderly end."""
    step = 4 * max(hop.delay_ns for hop in hops)
    plan = [
        (False, SYN, isn, 0, b""),
        (True, SYN | ACK, answer, isn + 1, b""),
        (False, ACK, isn + 1, answer + 1, b""),
        (False, PSH | ACK, isn + 1, answer + 1, b"question %d" % isn),
        (True, PSH | ACK, answer + 1, isn + 1 + len(b"question %d" % isn), b"answer %d" % answer),
        (False, FIN | ACK, isn + 1 + len(b"question %d" % isn), answer + 1 + len(b"answer %d" % answer), b""),
        (True, FIN | ACK, answer + 1 + len(b"answer %d" % answer), isn + 2 + len(b"question %d" % isn), b""),
    ]
    for at, (back, flags, seq, ack, payload) in enumerate(plan):
        seq, ack = seq % 2**32, ack % 2**32
        wire.packet(hops, time_ns + at * step, flags, seq, ack, payload, back=back, tsval=1000 + at, **options)


def refuse(wire: Wire, hops: Sequence[Hop], time_ns: int = T0, isn: int = 1000) -> None:
    """A SYN that is answered by RST."""
    wire.packet(hops, time_ns, SYN, isn)
    wire.packet(hops, time_ns + MS, RST | ACK, 0, isn + 1, back=True, ip_id=0)


def ignore(
    wire: Wire, hops: Sequence[Hop], time_ns: int = T0, isn: int = 1000, *, upto: int | None = None, tries: int = 4
) -> None:
    """A SYN and its repeats that nobody answers; they get no farther than ``upto`` hops."""
    for at in range(tries):
        wire.packet(hops, time_ns + (2**at - 1) * 1_000_000_000, SYN, isn, upto=upto, tsval=1000 + 1000 * at)


def _ip(src: str, dst: str, ttl: int, protocol: int, body: bytes, ip_id: int) -> bytes:
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if a.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, ttl) + a.packed + b.packed + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ip_id, 0x4000, ttl, protocol, 0) + a.packed + b.packed
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return head[:10] + struct.pack("!H", check) + head[12:] + body


def _tcp(src: End, dst: End, flags: int, seq: int, ack: int, window: int, payload: bytes, tsval: int) -> bytes:
    options = struct.pack("!BBII", 8, 10, tsval, 1) + b"\x01\x01"
    if flags & SYN:
        options = b"\x02\x04\x05\xb4\x04\x02" + struct.pack("!BBII", 8, 10, tsval, 0) + b"\x01\x03\x03\x07"
    offset = (20 + len(options)) // 4
    return struct.pack("!HHIIBBHHH", src[1], dst[1], seq, ack, offset << 4, flags, window, 0, 0) + options + payload


def talk(
    wire: Wire, hops: Sequence[Hop], turns: Sequence[tuple[float, bool, bytes]], time_ns: int = T0, isn: int = 1000
) -> None:
    """A connection with these turns: milliseconds after its SYN, true when from the server, the bytes.

    Handshake at once, the FINs a millisecond after the last turn. The server's ISN is the client's plus 7,000,000.
    """
    sent, got = (isn + 1) % 2**32, (isn + 7_000_001) % 2**32
    wire.packet(hops, time_ns, SYN, isn)
    wire.packet(hops, time_ns + MS // 50, SYN | ACK, got - 1, sent, back=True)
    wire.packet(hops, time_ns + MS // 25, ACK, sent, got)
    last = time_ns
    for at_ms, back, payload in turns:
        last = time_ns + int(at_ms * MS)
        if back:
            wire.packet(hops, last, PSH | ACK, got, sent, payload, back=True)
            got = (got + len(payload)) % 2**32
        else:
            wire.packet(hops, last, PSH | ACK, sent, got, payload)
            sent = (sent + len(payload)) % 2**32
    wire.packet(hops, last + MS, FIN | ACK, sent, got)
    wire.packet(hops, last + MS + MS // 50, FIN | ACK, got, sent + 1, back=True)
