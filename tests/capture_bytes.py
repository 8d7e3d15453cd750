"""Capture files made by hand: a few TCP frames as pcap or pcapng bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address

from tests.traffic import T0

SECOND = 1_000_000_000
SYN, SYN_ACK, ACK, RST = 0x02, 0x12, 0x10, 0x04


def segment(
    src: str = "10.0.0.9",
    sport: int = 50001,
    dst: str = "10.0.0.4",
    dport: int = 80,
    flags: int = SYN,
    seq: int = 1,
    ack: int = 0,
) -> bytes:
    """An Ethernet frame with an IPv4 TCP segment; checksums are zero."""
    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0)
    addresses = IPv4Address(src).packed + IPv4Address(dst).packed
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0) + addresses
    return bytes(12) + b"\x08\x00" + ip + tcp


def handshake(sport: int = 50001) -> list[bytes]:
    """SYN, SYN-ACK, ACK."""
    back = {"src": "10.0.0.4", "sport": 80, "dst": "10.0.0.9", "dport": sport}
    return [
        segment(sport=sport),
        segment(**back, flags=SYN_ACK, seq=100, ack=2),  # type: ignore[arg-type]
        segment(sport=sport, flags=ACK, seq=2, ack=101),
    ]


def pcap(frames: Sequence[bytes], start_ns: int = T0, link_type: int = 1, step_ns: int = 1000) -> bytes:
    """A little-endian nanosecond pcap."""
    records = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, link_type)]
    for at, frame in enumerate(frames):
        seconds, rest = divmod(start_ns + at * step_ns, SECOND)
        records.append(struct.pack("<IIII", seconds, rest, len(frame), len(frame)) + frame)
    return b"".join(records)


def pcapng(interfaces: Sequence[tuple[str | None, Sequence[bytes]]], start_ns: int = T0) -> bytes:
    """A pcapng section with nanosecond interfaces: pairs of a name, or None, and its frames."""
    blocks = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for name, _ in interfaces:
        options = _option(2, name.encode()) if name is not None else b""
        blocks.append(_block(1, struct.pack("<HHI", 1, 0, 0) + options + _option(9, b"\x09") + _option(0, b"")))
    at = start_ns
    for number, (_, frames) in enumerate(interfaces):
        for frame in frames:
            head = struct.pack("<IIIII", number, at >> 32, at & 0xFFFFFFFF, len(frame), len(frame))
            blocks.append(_block(6, head + frame + bytes(-len(frame) % 4)))
            at += 1000
    return b"".join(blocks)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
