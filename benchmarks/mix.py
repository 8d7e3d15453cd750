"""Lays real captures down many times, under other addresses and times, a fifth of the flows with a translated twin.

    python -m benchmarks.mix FOLDER --packets 500000 --out mix.pcap --truth mix.json
    python -m benchmarks.mix FOLDER --packets 500000 --score     (makes it, analyses it, prints recall and precision)

ISNs, payloads, options and IP identifications recur in every copy, and half of the flows begin before the capture: what
tells a twin from a copy is one TTL less and 40 to 400 microseconds. The twin has other addresses, ports and MACs.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

Packet = tuple[int, bytes]
"""Nanoseconds since the capture's first packet, and an IPv4 packet with TCP in it."""
Ends = tuple[str, str]


def packets(path: Path) -> list[Packet]:
    """The IPv4 TCP packets of a plain Ethernet pcap; nothing of any other file."""
    data = path.read_bytes()
    if len(data) < 24 or data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        return []
    if struct.unpack_from("<I", data, 20)[0] != 1:
        return []
    unit = 1000 if data[0] == 0xD4 else 1
    found, at, first = [], 24, None
    while at + 16 <= len(data):
        seconds, fraction, kept, _ = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16 : at + 16 + kept]
        at += 16 + kept
        # Options and fragments are left out: the headers are rewritten in place.
        if (
            len(frame) < 54
            or frame[12:15] != b"\x08\x00\x45"
            or frame[23] != 6
            or frame[20:22] not in (b"@\0", b"\0\0")
        ):
            continue
        stamp = seconds * 10**9 + fraction * unit
        first = stamp if first is None else first
        found.append((stamp - first, frame[14 : 14 + max(40, struct.unpack_from("!H", frame, 16)[0])]))
    return found


def flows(path: Path) -> list[list[Packet]]:
    """The packets of a capture by TCP 4-tuple; at least four and at most 200 of each."""
    found: dict[tuple[bytes, ...], list[Packet]] = {}
    for stamp, packet in packets(path):
        ends = sorted((packet[12:16] + packet[20:22], packet[16:20] + packet[22:24]))
        found.setdefault(tuple(ends), []).append((stamp, packet))
    return [flow[:200] for flow in found.values() if len(flow) >= 4 and any(len(packet) > 60 for _, packet in flow)]


def _carries(packet: bytes) -> bool:
    """True for a segment with payload, or a SYN."""
    return len(packet) > 20 + (packet[32] >> 4) * 4 or bool(packet[33] & 2)


def rewritten(packet: bytes, ends: dict[bytes, tuple[bytes, bytes]], hops: int) -> bytes:
    """The packet under other addresses and ports, ``hops`` routers further on."""
    src, sport = ends[packet[12:16] + packet[20:22]]
    dst, dport = ends[packet[16:20] + packet[22:24]]
    head = packet[:8] + bytes([max(packet[8] - hops, 1)]) + packet[9:10] + b"\0\0" + src + dst
    return head + sport + dport + packet[24:]


def mixed(folder: Path, wanted: int, seed: int) -> tuple[list[tuple[int, bytes]], list[tuple[Ends, Ends]]]:
    """Frames in time order, and the pairs of legs that are one connection."""
    dice = random.Random(seed)
    sources = [flow for path in sorted(folder.rglob("*")) if path.is_file() for flow in flows(path)]
    if not sources:
        sys.exit(f"{folder}: no pcap with TCP over Ethernet in it")
    frames: list[tuple[int, bytes]] = []
    pairs = []
    start = 1_767_225_600 * 10**9
    while len(frames) < wanted:
        flow = dice.choice(sources)
        # A connection older than the capture: its first packets are missing.
        if dice.random() < 0.5 and len(flow) > 6:
            flow = flow[dice.randrange(3, len(flow) - 3) :]
            # Bare ACKs and resets of two copies cannot be told apart by anything.
            if not any(_carries(packet) for _, packet in flow):
                continue
        begin = start + dice.randrange(600 * 10**9)
        one, other = flow[0][1][12:16] + flow[0][1][20:22], flow[0][1][16:20] + flow[0][1][22:24]
        copy = {end: _fresh(dice, end) for end in (one, other)}
        near = [(begin + stamp - flow[0][0], packet) for stamp, packet in flow]
        frames += [(at, rewritten(packet, copy, 0)) for at, packet in near]
        if dice.random() < 0.2:
            twin = {end: _fresh(dice, end) for end in (one, other)}
            # One side keeps its address half of the time, as with plain DNAT or SNAT.
            if dice.random() < 0.5:
                kept = dice.choice((one, other))
                twin[kept] = copy[kept]
            frames += [(at + dice.randrange(40_000, 400_000), rewritten(packet, twin, 1)) for at, packet in near]
            pairs.append((_ends(copy[one], copy[other]), _ends(twin[one], twin[other])))
    frames.sort(key=lambda frame: frame[0])
    return frames, pairs


def _fresh(dice: random.Random, end: bytes) -> tuple[bytes, bytes]:
    return struct.pack("!I", dice.randrange(0x0A000000, 0x0AFFFFFF)), struct.pack("!H", dice.randrange(1024, 65535))


def _ends(one: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> Ends:
    low, high = sorted(f"{'.'.join(map(str, ip))}:{int.from_bytes(port)}" for ip, port in (one, other))
    return low, high


def write(frames: list[tuple[int, bytes]], out: Path) -> None:
    """A nanosecond pcap of Ethernet frames."""
    with out.open("wb") as opened:
        opened.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for stamp, packet in frames:
            frame = bytes(12) + b"\x08\x00" + packet
            opened.write(struct.pack("<IIII", stamp // 10**9, stamp % 10**9, len(frame), len(frame)) + frame)


def joined(path: Path) -> tuple[Iterator[tuple[Ends, Ends]], float]:
    """The pairs of legs that flowscope joins, and the CPU seconds it took."""
    from flowscope.analysis import analyze

    before = time.process_time()
    analysis = analyze([path])
    spent = time.process_time() - before
    texts = analysis.addresses["text"].to_list()
    legs = {
        row[0]: tuple(sorted((f"{texts[row[1]]}:{row[2]}", f"{texts[row[3]]}:{row[4]}")))
        for row in analysis.legs.select("leg", "src", "src_port", "dst", "dst_port").iter_rows()
    }
    several = (one for one in analysis.paths["legs"].to_list() if len(one) > 1)
    return ((legs[a], legs[b]) for path in several for a, b in pairwise(path)), spent  # type: ignore[misc]


def main() -> None:
    """Makes the mix, or makes, analyses and scores it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packets", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--score", action="store_true")
    options = parser.parse_args()
    frames, pairs = mixed(options.folder, options.packets, options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary) / "mix.pcap"
        write(frames, out)
        if options.truth:
            options.truth.write_text(json.dumps(pairs))
        print(f"{len(frames):,} packets, {len(pairs):,} translated twins")
        if options.score:
            found, spent = joined(out)
            want, have = ({tuple(sorted(pair)) for pair in some} for some in (pairs, found))
            both = len(want & have)
            recall, precision = both / len(want), both / max(1, len(have))
            print(f"recall {recall:.4f}  precision {precision:.4f}  joined {len(have):,}  CPU {spent:.2f} s")


if __name__ == "__main__":
    main()
