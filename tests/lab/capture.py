"""tcpdump at the points of a world, one process each, and the forms in which its files are kept."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import files
from tests.lab.world import World

SNAP = 262144
BUFFER_KIB = 32768
# How often tcpdump hands on what its ring holds, and a bit.
RING_S = 1.1
PATIENCE_S = 30
COUNTS = re.compile(r"(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped")
Counts = tuple[int, int, int]


@dataclass
class Tap:
    """One point: a node's interface, the file's stem, and how it is kept (``us``, ``ns``, ``ng``, with ``-be``)."""

    name: str
    node: str
    interface: str
    form: str = "us"
    snap: int = SNAP
    buffer: int = BUFFER_KIB
    only: str = ""
    drops: int = 0
    frames: int = 0
    path: Path = field(default=Path())
    process: subprocess.Popen[str] | None = None

    def start(self, world: World, folder: Path) -> None:
        """Begin to capture; returns at once."""
        self.path = folder / f"{self.name}.pcap"
        precision = "nano" if self.form[:2] in ("ns", "ng") else "micro"
        argv = ["tcpdump", "-i", self.interface, "-n", "-U", "-Z", "root", "-s", str(self.snap), "-B", str(self.buffer),
                "-w", str(self.path), "--time-stamp-precision", precision]  # fmt: skip
        argv += ["-y", "LINUX_SLL2"] if self.interface == "any" else []
        argv += [self.only] if self.only else []
        self.process = world.spawn(self.node, argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def listening(self) -> None:
        """Wait until tcpdump says that it listens."""
        assert self.process and self.process.stderr
        for line in self.process.stderr:
            if "listening on" in line:
                return
        raise RuntimeError(f"tcpdump at {self.name} did not start")

    def counts(self) -> Counts:
        """What tcpdump says when asked: packets written, come through the filter, lost by the kernel."""
        assert self.process and self.process.stderr
        self.process.send_signal(signal.SIGUSR1)
        for line in self.process.stderr:
            if found := COUNTS.search(line):
                written, come, lost = map(int, found.groups())
                return written, come, lost
        raise RuntimeError(f"tcpdump at {self.name} ended early")

    def stop(self) -> None:
        """End tcpdump, read what it lost, and rewrite the file in its form."""
        assert self.process
        written, come, self.drops = self.counts()
        # On all interfaces both copies of a packet come, and the filter may take one.
        if not self.only and self.interface != "any":
            self.drops = max(self.drops, come - written)
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)
        kept = files.read(self.path)
        self.frames = len(kept.frames)
        if self.form not in ("us", "ns"):
            plain = self.path
            self.path = plain.with_suffix(".pcapng" if self.form.startswith("ng") else ".pcap")
            if self.form.startswith("ng"):
                kept.names = [self.interface]
                plain.unlink()
            files.write(self.path, kept, self.form)


def start(world: World, taps: list[Tap], folder: Path) -> None:
    """Begin all captures and wait until every one listens."""
    for tap in taps:
        tap.start(world, folder)
    for tap in taps:
        tap.listening()


def stop(taps: list[Tap]) -> None:
    """End all captures, once each has written what came to it: tcpdump reads its ring once a second, or later."""
    end, before = time.monotonic() + PATIENCE_S, {}
    time.sleep(RING_S)
    while time.monotonic() < end:
        now = {tap.name: tap.counts() for tap in taps}
        if now == before or all(written >= come - lost for written, come, lost in now.values()):
            break
        before = now
        time.sleep(RING_S)
    for tap in taps:
        tap.stop()
