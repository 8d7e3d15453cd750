"""Reading and writing capture files: pcap in any byte order and precision, pcapng with one section."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D
SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
ETHERNET, SLL2 = 1, 276


@dataclass(frozen=True)
class Frame:
    """One captured frame: nanoseconds since the epoch, its bytes, its length on the wire, its interface."""

    ns: int
    data: bytes
    wire: int
    interface: int = 0


@dataclass
class Capture:
    """The frames of a file, and what its header says."""

    links: list[int] = field(default_factory=lambda: [ETHERNET])
    names: list[str] = field(default_factory=lambda: [""])
    snap: int = 262144
    frames: list[Frame] = field(default_factory=list)


def read(path: Path) -> Capture:
    """Read a capture file of any form that this module writes; a cut record ends it."""
    raw = path.read_bytes()
    return _read_ng(raw) if raw[:4] == b"\x0a\x0d\x0d\x0a" else _read_pcap(raw)


def _read_pcap(raw: bytes) -> Capture:
    magic = struct.unpack("<I", raw[:4])[0]
    order = "<" if magic in (MICRO, NANO) else ">"
    unit = 1 if struct.unpack(f"{order}I", raw[:4])[0] == NANO else 1000
    snap, link = struct.unpack(f"{order}II", raw[16:24])
    capture, at, head = Capture([link & 0xFFFF], [""], snap), 24, struct.Struct(f"{order}IIII")
    while at + 16 <= len(raw):
        seconds, part, kept, wire = head.unpack_from(raw, at)
        if at + 16 + kept > len(raw):
            break
        capture.frames.append(Frame(seconds * 10**9 + part * unit, raw[at + 16 : at + 16 + kept], wire))
        at += 16 + kept
    return capture


def _read_ng(raw: bytes) -> Capture:
    capture, at, order, units = Capture([], []), 0, "<", []
    while at + 12 <= len(raw):
        if raw[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if raw[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, size = struct.unpack_from(f"{order}II", raw, at)
        if size < 12 or at + size > len(raw):
            break
        body = raw[at + 8 : at + size - 4]
        if kind == INTERFACE:
            link, capture.snap = struct.unpack_from(f"{order}HxxI", body)
            options = dict(_options(body[8:], order))
            capture.links.append(link)
            capture.names.append(options.get(2, b"").decode())
            units.append(10 ** (9 - options.get(9, b"\x06")[0]))
        elif kind == PACKET:
            interface, high, low, kept, wire = struct.unpack_from(f"{order}IIIII", body)
            capture.frames.append(Frame(((high << 32) + low) * units[interface], body[20 : 20 + kept], wire, interface))
        at += size
    return capture


def _options(raw: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(raw):
        code, size = struct.unpack_from(f"{order}HH", raw, at)
        if code == 0:
            return
        yield code, raw[at + 4 : at + 4 + size]
        at += 4 + (size + 3) // 4 * 4


def write_pcap(path: Path, capture: Capture, *, nano: bool = False, big: bool = False) -> None:
    """Write a capture of one interface as pcap."""
    order, unit = (">" if big else "<"), (1 if nano else 1000)
    with path.open("wb") as out:
        out.write(struct.pack(f"{order}IHHiIII", NANO if nano else MICRO, 2, 4, 0, 0, capture.snap, capture.links[0]))
        head = struct.Struct(f"{order}IIII")
        for frame in capture.frames:
            out.write(head.pack(frame.ns // 10**9, frame.ns % 10**9 // unit, len(frame.data), frame.wire) + frame.data)


def write_ng(path: Path, capture: Capture, *, big: bool = False) -> None:
    """Write a capture as pcapng with nanoseconds, one interface block per interface."""
    order = ">" if big else "<"

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = len(body) + 12
        return struct.pack(f"{order}II", kind, size) + body + struct.pack(f"{order}I", size)

    def option(code: int, value: bytes) -> bytes:
        return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)

    with path.open("wb") as out:
        out.write(block(SECTION, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)))
        for link, name in zip(capture.links, capture.names, strict=True):
            options = (option(2, name.encode()) if name else b"") + option(9, b"\x09") + struct.pack(f"{order}HH", 0, 0)
            out.write(block(INTERFACE, struct.pack(f"{order}HHI", link, 0, capture.snap) + options))
        for frame in capture.frames:
            head = struct.pack(
                f"{order}IIIII", frame.interface, frame.ns >> 32, frame.ns & 0xFFFFFFFF, len(frame.data), frame.wire
            )
            out.write(block(PACKET, head + frame.data))


def write(path: Path, capture: Capture, form: str) -> None:
    """Write in one of the forms ``us``, ``ns``, ``ng``, with ``-be`` for big-endian."""
    kind, _, order = form.partition("-")
    if kind == "ng":
        write_ng(path, capture, big=order == "be")
    else:
        write_pcap(path, capture, nano=kind == "ns", big=order == "be")


def merge(captures: Iterable[tuple[str, Capture]]) -> Capture:
    """One capture of several interfaces, in order of time, out of (interface name, capture)."""
    whole = Capture([], [])
    for name, capture in captures:
        number = len(whole.links)
        whole.links.append(capture.links[0])
        whole.names.append(name)
        whole.snap = capture.snap
        whole.frames += [replace(frame, interface=number) for frame in capture.frames]
    whole.frames.sort(key=lambda frame: frame.ns)
    return whole
