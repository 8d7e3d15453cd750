"""``flowscope live`` under load: ``python -m benchmarks.live rate|soak`` (root, Linux, two namespaces of its own).

``rate`` sends prepared TCP connections at a number of frames per second into a wire that is captured, and counts what
arrived in the files and what the report counts as lost: together they are what was sent. ``--program scapy`` does so
with what captures where neither dumpcap nor tcpdump is installed. ``soak`` makes short connections for minutes and
watches memory.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import secrets
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXE = str(Path(sys.executable).with_name("flowscope"))
_SENT_MARK = "sent "


@contextmanager
def wire() -> Iterator[str]:
    """Two namespaces, ``NAME-near`` and ``NAME-far``, with ``e0`` at both ends of one wire."""
    name = f"fsb{secrets.token_hex(3)}"
    try:
        for end in ("near", "far"):
            subprocess.run(["ip", "netns", "add", f"{name}-{end}"], check=True)
        peer = ["link", "add", "e0", "type", "veth", "peer", "name", "e0", "netns", f"{name}-far"]
        subprocess.run(["ip", "-n", f"{name}-near", *peer], check=True)
        for end, number in (("near", 1), ("far", 2)):
            for line in (f"addr add 10.98.0.{number}/24 dev e0", "link set e0 up", "link set lo up"):
                subprocess.run(["ip", "-n", f"{name}-{end}", *line.split()], check=True)
        yield name
    finally:
        for end in ("near", "far"):
            subprocess.run(["ip", "netns", "del", f"{name}-{end}"], check=False, capture_output=True)


def _inside(name: str, end: str, *line: str) -> list[str]:
    return ["ip", "netns", "exec", f"{name}-{end}", *line]


def _frames(count: int, per_connection: int) -> tuple[bytearray, list[int]]:
    """Frames of whole TCP connections, one after the other in memory, and where each begins."""
    here, there = socket.inet_aton("10.97.0.1"), socket.inet_aton("10.97.0.2")
    ethernet = bytes.fromhex("02000000000902000000000108 00".replace(" ", ""))
    payload = bytes(200)
    buffer, starts = bytearray(), []

    def add(back: bool, port: int, flags: int, seq: int, ack: int, data: bytes = b"") -> None:
        starts.append(len(buffer))
        ends = (there + here, 80, port) if back else (here + there, port, 80)
        head = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(data), len(starts) & 0xFFFF, 0x4000, 64, 6, 0)
        tcp = struct.pack("!HHIIBBHHH", ends[1], ends[2], seq, ack, 0x50, flags, 65535, 0, 0)
        buffer.extend(ethernet + head + ends[0] + tcp + data)

    connection = 0
    while len(starts) < count:
        port, isn = 1024 + connection % 60_000, (connection * 7919) & 0x3FFFFFFF
        add(False, port, 2, isn, 0)
        add(True, port, 18, isn + 1, isn + 1)
        add(False, port, 16, isn + 1, isn + 2)
        for at in range((per_connection - 6) // 2):
            add(False, port, 24, isn + 1 + at * len(payload), isn + 2, payload)
            add(True, port, 16, isn + 2, isn + 1 + (at + 1) * len(payload))
        end = isn + 1 + (per_connection - 6) // 2 * len(payload)
        add(False, port, 17, end, isn + 2)
        add(True, port, 17, isn + 2, end + 1)
        add(False, port, 16, end + 1, isn + 3)
        connection += 1
    return buffer, starts


def send(rate: int, seconds: float, per_connection: int) -> None:
    """Sends frames at a rate through ``e0``; prints how many and how fast."""
    buffer, starts = _frames(int(rate * seconds), per_connection)
    wired = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wired.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS (packet(7))
    wired.bind(("e0", 0))
    # One call of the kernel per batch (sendmmsg(2)): a call per frame is too slow in Python.
    libc = ctypes.CDLL(None, use_errno=True)
    base = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    pieces, heads = bytearray(), bytearray()
    for begun, ended in zip(starts, [*starts[1:], len(buffer)], strict=True):
        pieces += struct.pack("QQ", base + begun, ended - begun)
    place = ctypes.addressof(ctypes.c_char.from_buffer(pieces))
    for number in range(len(starts)):
        heads += struct.pack("QQQQQQQQ", 0, 0, place + 16 * number, 1, 0, 0, 0, 0)
    first = ctypes.addressof(ctypes.c_char.from_buffer(heads))
    step = rate // 1000
    print("ready", flush=True)
    sys.stdin.readline()
    begin, at = time.perf_counter(), 0
    while at < len(starts):
        count = min(step, len(starts) - at)
        sent = libc.sendmmsg(wired.fileno(), ctypes.c_void_p(first + 64 * at), count, 0)
        if sent < 0:
            if ctypes.get_errno() not in (errno.ENOBUFS, errno.EAGAIN):
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent = 0
        at += sent
        ahead = begin + at / rate - time.perf_counter()
        if ahead > 0.001:
            time.sleep(ahead)
    passed = time.perf_counter() - begin
    print(f"{_SENT_MARK}{len(starts)} {passed:.2f}", flush=True)


def _received(name: str) -> int:
    """Frames that have reached the captured end of the wire."""
    line = ["ip", "-n", f"{name}-far", "-s", "-j", "link", "show", "dev", "e0"]
    (link,) = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
    return int(link["stats64"]["rx"]["packets"])


def rate(frames_per_s: int, seconds: float, program: str, per_connection: int, buffer_mib: int) -> None:
    """Measures a capture at a rate."""
    with wire() as name, tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.pcapng"
        own = [sys.executable, "-m", "benchmarks.live", "send", "--rate", str(frames_per_s), "--seconds", str(seconds)]
        sender = subprocess.Popen(
            _inside(name, "near", *own, "--per-connection", str(per_connection)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert sender.stdin and sender.stdout
        sender.stdout.readline()
        line = _inside(name, "far", EXE, "live", "-i", "e0", "-w", str(kept), "--program", program, "-Z", "root")
        live = subprocess.Popen(
            [*line, "-f", "tcp", "-B", str(buffer_mib), "--format", "json", "--brief", "-v"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert live.stderr
        while "watching" not in live.stderr.readline():
            pass
        words: list[str] = []
        listening = threading.Thread(target=lambda: words.extend(live.stderr or ()), daemon=True)
        listening.start()
        time.sleep(2)
        before = _received(name)
        sender.stdin.write("\n")
        sender.stdin.flush()
        told = sender.stdout.readline().removeprefix(_SENT_MARK).split()
        ended, arrived = time.time(), _received(name) - before
        # The last words of the engine about its lag come every ten seconds; the report waits for all of it anyway.
        time.sleep(1)
        live.send_signal(signal.SIGINT)
        assert live.stdout
        out = live.stdout.read()
        live.wait(300)
        listening.join(5)
        caught_up_s = time.time() - ended
        report = json.loads(out)
        sent, passed = int(told[0]), float(told[1])
        frames = sum(capture["frames"] for capture in report["captures"])
        issues = [issue for capture in report["captures"] for issue in capture["issues"]]
        lost = sum(issue["count"] for issue in issues if issue["kind"] == "dropped-frames")
        print(
            f"{program}: {sent:,} frames sent in {passed:.1f} s ({sent / passed:,.0f}/s), {arrived:,} at the interface"
        )
        print(
            f"in the file: {frames:,}, counted as lost: {lost:,}, together {frames + lost:,}: {sent - frames - lost:+,}"
        )
        print(f"told: {[issue['detail'] for issue in issues] or 'nothing lost'}")
        for finding in report["findings"]:
            print(
                f"{finding['rule']}: {finding['verdict']}, {finding['count']:,} times; {' '.join(finding['caveats'])}"
            )
        print(f"report {caught_up_s:.1f} s after the last frame, the final analysis included")
        print("".join(words[-4:]), end="")


SERVER = """
import socket, threading
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 80)); s.listen(512)
while True:
    c, _ = s.accept(); c.recv(100); c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"); c.close()
"""
CLIENT = """
import socket, sys, time
rate, until = float(sys.argv[1]), time.time() + float(sys.argv[2])
while time.time() < until:
    begin = time.time()
    with socket.socket() as s:
        s.settimeout(2)
        try:
            s.connect(("10.98.0.2", 80)); s.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"); s.recv(100); s.recv(1)
        except OSError: pass
    time.sleep(max(0, begin + 1 / rate - time.time()))
"""


def soak(seconds: float, per_s: float) -> None:
    """Short connections, and the memory of the process that analyses."""
    with wire() as name:
        server = subprocess.Popen(_inside(name, "far", sys.executable, "-c", SERVER))
        line = _inside(name, "far", EXE, "live", "-i", "e0", "-Z", "root", "-a", f"duration:{int(seconds) + 5}")
        live = subprocess.Popen([*line, "--brief"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert live.stderr
        while "watching" not in live.stderr.readline():
            pass
        threading.Thread(target=lambda: [None for _ in live.stderr or ()], daemon=True).start()
        client = subprocess.Popen(_inside(name, "near", sys.executable, "-c", CLIENT, str(per_s), str(seconds)))
        begin, samples = time.time(), []
        while client.poll() is None:
            time.sleep(2)
            samples.append((time.time() - begin, _resident_mib(live.pid)))
        out, _ = live.communicate(timeout=120)
        server.kill()
        server.wait()
        second = statistics.mean(mib for at, mib in samples if 60 <= at < 120)
        last = statistics.mean(mib for at, mib in samples if at >= samples[-1][0] - 60)
        by_minute = [
            statistics.mean(mib for at, mib in samples if minute * 60 <= at < minute * 60 + 60)
            for minute in range(int(samples[-1][0] // 60))
        ]
        print(out.splitlines()[0])
        print(f"memory by minute (MiB): {', '.join(f'{mib:.0f}' for mib in by_minute)}")
        print(f"second minute {second:.1f} MiB, last {last:.1f} MiB: {100 * (last / second - 1):+.1f} %")


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("what", choices=["rate", "soak", "send"])
    parser.add_argument("--rate", type=int, default=100_000, help="frames per second")
    parser.add_argument("--seconds", type=float, help="default: 30 for rate, 600 for soak")
    parser.add_argument("--program", default="dumpcap", choices=["dumpcap", "tcpdump", "scapy"])
    parser.add_argument("--buffer", type=int, default=512, metavar="MIB", help="what the kernel may hold (default 512)")
    parser.add_argument("--per-connection", type=int, default=100, help="frames of each connection")
    parser.add_argument("--per-second", type=float, default=100, help="connections per second of the soak")
    options = parser.parse_args()
    if options.what == "soak":
        soak(options.seconds or 600, options.per_second)
    elif options.what == "send":
        send(options.rate, options.seconds or 30, options.per_connection)
    else:
        rate(options.rate, options.seconds or 30, options.program, options.per_connection, options.buffer)


if __name__ == "__main__":
    main()
