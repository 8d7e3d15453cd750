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
PATIENCE = 25


@dataclass
class Tap:
    """One point: a node's interface, the file's stem, and how it is kept (``us``, ``ns``, ``ng``, with ``-be``)."""

    name: str
    node: str
    interface: str
    form: str = "us"
    snap: int = SNAP
    only: str = ""
    drops: int = 0
    frames: int = 0
    path: Path = field(default=Path())
    process: subprocess.Popen[str] | None = None

    def start(self, world: World, folder: Path) -> None:
        """Begin to capture; returns at once."""
        self.path = folder / f"{self.name}.pcap"
        nano = self.form[:2] in ("ns", "ng")
        argv = [
            "tcpdump",
            "-i",
            self.interface,
            "-n",
            "-U",
            "-Z",
            "root",
            "-s",
            str(self.snap),
            "-B",
            "32768",
            "-w",
            str(self.path),
        ]
        argv += ["--time-stamp-precision", "nano" if nano else "micro"]
        if self.interface == "any":
            argv += ["-y", "LINUX_SLL2"]
        argv += [self.only] if self.only else []
        self.process = world.spawn(self.node, argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def listening(self) -> None:
        """Wait until tcpdump says that it listens."""
        assert self.process and self.process.stderr
        for line in self.process.stderr:
            if "listening on" in line:
                return
        raise RuntimeError(f"tcpdump at {self.name} did not start")

    def stop(self) -> None:
        """End tcpdump, read what it lost, and rewrite the file in its form."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        _, text = self.process.communicate(timeout=20)
        dropped = re.search(r"(\d+) packets dropped by kernel", text)
        self.drops = int(dropped[1]) if dropped else 0
        kept_by, come = re.search(r"(\d+) packets? captured", text), re.search(r"(\d+) packets? received", text)
        # On all interfaces both copies of a packet are received, and the filter may take one.
        if kept_by and come and not self.only and self.interface != "any":
            self.drops += max(0, int(come[1]) - int(kept_by[1]))
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
    """End all captures: tcpdump reads its ring once a second, and on a busy machine it lags behind."""
    time.sleep(1.1)
    before: list[int] = []
    for _ in range(PATIENCE):
        sizes = [tap.path.stat().st_size for tap in taps]
        if sizes == before:
            break
        before = sizes
        time.sleep(0.4)
    for tap in taps:
        tap.stop()
