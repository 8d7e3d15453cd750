"""What matching costs as flows grow, and that a file made to defeat it stays bounded.

    python -m benchmarks.matching            50 k, 100 k, 200 k and 400 k flows through full NAT, then one ISN for all

Half of the flows are client legs, half their server legs under other addresses and ports 60 microseconds later.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import tempfile
import time
from pathlib import Path

_SYN, _SYN_ACK, _ACK = 2, 18, 16


def packet(
    src: bytes, dst: bytes, ports: tuple[int, int], numbers: tuple[int, int], flags: int, ttl: int, ip_id: int
) -> bytes:
    """An IPv4 TCP packet without payload; checksums are not needed by anybody here."""
    options = (
        b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + struct.pack("!II", ip_id, 0) + b"\x01\x03\x03\x07" if flags & 2 else b""
    )
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(options), ip_id, 0x4000, ttl, 6, 0) + src + dst
    offset = (20 + len(options)) // 4 << 4
    return head + struct.pack("!HHIIBBHHH", *ports, *numbers, offset, flags, 64240, 0, 0) + options


def write(out: Path, flows: int, one_isn: bool, seed: int = 1) -> None:
    """A capture of ``flows`` flows: handshakes of connections through a translator, on both of its sides."""
    dice = random.Random(seed)
    frames = []
    for at in range(flows // 2):
        start = at * 200_000 + dice.randrange(100_000)
        client = struct.pack("!I", 0x0B000000 + at % 4_000_000), 1024 + dice.randrange(60_000)
        inside = struct.pack("!I", 0x0A000001 + at // 60_000), 2000 + at % 60_000
        front, member = (b"\xc0\x00\x02\x09", 443), (b"\x0a\x01\x00" + bytes([at % 8 + 4]), 8443)
        isn, answer = (7, 9) if one_isn else (dice.randrange(2**32), dice.randrange(2**32))
        ip_id = dice.randrange(1, 65536)
        for (src, dst), later, ttl in (((client, front), 0, 61), ((inside, member), 60_000, 60)):
            there, back = (src[1], dst[1]), (dst[1], src[1])
            frames.append((start + later, packet(src[0], dst[0], there, (isn, 0), _SYN, ttl, ip_id)))
            reply = start + 400_000 - later
            frames.append((reply, packet(dst[0], src[0], back, (answer, isn + 1 & 0xFFFFFFFF), _SYN_ACK, 124 - ttl, 0)))
            numbers = (isn + 1 & 0xFFFFFFFF, answer + 1 & 0xFFFFFFFF)
            frames.append(
                (start + 500_000 + later, packet(src[0], dst[0], there, numbers, _ACK, ttl, ip_id % 65535 + 1))
            )
    frames.sort(key=lambda frame: frame[0])
    with out.open("wb") as opened:
        opened.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 101))
        for stamp, data in frames:
            opened.write(struct.pack("<IIII", stamp // 10**9, stamp % 10**9, len(data), len(data)) + data)


def measure(capture: Path) -> tuple[float, float, int]:
    """CPU seconds of matching alone and of the whole analysis, and how many paths have two legs."""
    from flowscope import analysis as river

    spent = 0.0
    stages = ("read_clocks", "leg_table", "join_legs", "with_paths", "with_legs")
    plain = {name: getattr(river, name) for name in stages}

    def timed(name: str):  # type: ignore[no-untyped-def]
        def run(*arguments, **options):  # type: ignore[no-untyped-def]
            nonlocal spent
            before = time.process_time()
            try:
                return plain[name](*arguments, **options)
            finally:
                spent += time.process_time() - before

        return run

    for name in stages:
        setattr(river, name, timed(name))
    before = time.process_time()
    analysis = river.analyze([capture])
    total = time.process_time() - before
    for name, function in plain.items():
        setattr(river, name, function)
    return spent, total, int((analysis.paths["legs"].list.len() == 2).sum())


def main() -> None:
    """Prints a row per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50_000, 100_000, 200_000, 400_000])
    parser.add_argument("--one-isn", type=int, default=100_000, help="flows of the file made to defeat the matcher")
    options = parser.parse_args()
    print(f"{'flows':>9} {'matching':>9} {'all':>7} {'joined':>8}")
    with tempfile.TemporaryDirectory() as temporary:
        capture = Path(temporary) / "flows.pcap"
        for size, one_isn in [*((size, False) for size in options.sizes), (options.one_isn, True)]:
            write(capture, size, one_isn)
            matching, total, joined = measure(capture)
            note = "   one ISN for all" if one_isn else ""
            print(f"{size:>9,} {matching:>8.2f}s {total:>6.2f}s {joined:>8,}{note}", flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
