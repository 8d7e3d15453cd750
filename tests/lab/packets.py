"""Just enough decoding to count TCP packets by tuple: Ethernet and SLL2, IPv4 and IPv6, VXLAN."""

from __future__ import annotations

import socket
import struct
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.lab import files

Tuple4 = tuple[str, int, str, int]
FIN, SYN, RST, ACK = 1, 2, 4, 16
VXLAN_PORT = 4789


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment at one point."""

    t: float
    flags: int
    seq: int
    ack: int
    size: int
    whole: bool = True
    """Not cut by a snap length."""


def decode(data: bytes, link: int) -> tuple[Tuple4, int, int, int, int] | None:
    """Tuple, flags, seq, ack, payload length of the innermost TCP segment; None for anything else."""
    kind, at = (data[12:14], 14) if link == files.ETHERNET else (data[0:2], 20)
    if kind == b"\x08\x00" and len(data) >= at + 20:
        size, protocol = (data[at] & 15) * 4, data[at + 9]
        end = at + int.from_bytes(data[at + 2 : at + 4], "big")
        src, dst = socket.inet_ntoa(data[at + 12 : at + 16]), socket.inet_ntoa(data[at + 16 : at + 20])
        if data[at + 6] & 0x1F or data[at + 7]:
            return None
    elif kind == b"\x86\xdd" and len(data) >= at + 40:
        size, protocol = 40, data[at + 6]
        end = at + 40 + int.from_bytes(data[at + 4 : at + 6], "big")
        src = socket.inet_ntop(socket.AF_INET6, data[at + 8 : at + 24])
        dst = socket.inet_ntop(socket.AF_INET6, data[at + 24 : at + 40])
    else:
        return None
    at += size
    if protocol == 17 and data[at + 2 : at + 4] == struct.pack(">H", VXLAN_PORT):
        return decode(data[at + 16 :], files.ETHERNET)
    if protocol != 6 or len(data) < at + 14:
        return None
    sport, dport, seq, ack, offset, flags = struct.unpack_from(">HHIIBB", data, at)
    return (src, sport, dst, dport), flags, seq, ack, max(0, end - at - (offset >> 4) * 4)


class Point:
    """The TCP segments of one capture file, by tuple."""

    def __init__(self, source: Path | files.Capture) -> None:
        capture = files.read(source) if isinstance(source, Path) else source
        self.segments: dict[Tuple4, list[Segment]] = defaultdict(list)
        self.frames = len(capture.frames)
        for frame in capture.frames:
            found = decode(frame.data, capture.links[frame.interface])
            if found:
                whole = len(frame.data) >= frame.wire
                self.segments[found[0]].append(Segment(frame.ns / 1e9, *found[1:], whole))

    def within(self, key: Tuple4, start: float, end: float) -> list[Segment]:
        """The segments of one direction between two times."""
        return [segment for segment in self.segments.get(key, ()) if start <= segment.t < end]


def back(key: Tuple4) -> Tuple4:
    """The tuple of the other direction."""
    return key[2], key[3], key[0], key[1]
