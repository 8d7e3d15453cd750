"""The kernel's own record of translations: events of conntrack, read while a scenario runs."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.packets import Tuple4
from tests.lab.world import World

NETFILTER = 12
#: Each event takes a few KiB there: those of the largest scenario fit, should nobody read for a while.
BUFFER_BYTES = 256 << 20
PAIR = re.compile(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)")


def wait_until(holds: Callable[[], object], otherwise: str, seconds: float = 30) -> None:
    """Wait for a fact; RuntimeError with those words when it does not come."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(otherwise)
        time.sleep(0.02)


@dataclass(frozen=True)
class Translation:
    """A new entry: when, the tuple that came in, and the tuple that went out."""

    t: float
    inner: Tuple4
    outer: Tuple4


class Tracker:
    """``conntrack -E`` in the balancer."""

    def __init__(self, world: World, folder: Path) -> None:
        self.path = folder / "conntrack.log"
        # Line buffering, or the tail is lost when it ends.
        argv = [
            "stdbuf",
            "-oL",
            "conntrack",
            "-E",
            "-e",
            "NEW",
            "-p",
            "tcp",
            "-o",
            "timestamp",
            "-b",
            str(BUFFER_BYTES),
        ]
        with self.path.open("w") as out:
            self.process = world.spawn("lb", argv, stdout=out, stderr=subprocess.DEVNULL)
        self.lost = 0
        wait_until(lambda: self._queue() is not None, "conntrack does not listen")

    def _queue(self) -> tuple[int, int] | None:
        """Bytes of events not read yet and events lost, of its own socket; None before it listens."""
        try:
            if Path(f"/proc/{self.process.pid}/comm").read_text().strip() != "conntrack":
                return None
            lines = Path(f"/proc/{self.process.pid}/net/netlink").read_text().splitlines()
        except OSError:
            return None
        for line in lines[1:]:
            _, family, _, groups, unread, _, _, _, drops, _ = line.split()
            if int(family) == NETFILTER and int(groups, 16):
                return int(unread), int(drops)
        return None

    def stop(self) -> list[Translation]:
        """End it, once it has read every event, and return what it saw."""
        wait_until(lambda: not (self._queue() or (0, 0))[0], "conntrack does not keep up")
        self.lost = (self._queue() or (0, 0))[1]
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=10)
        rows = []
        for line in self.path.read_text().splitlines():
            stamp, pairs = re.match(r"\[(\d+\.\d+)", line), PAIR.findall(line)
            if not stamp or len(pairs) != 2:
                continue
            (src, dst, sport, dport), (rsrc, rdst, rsport, rdport) = pairs
            inner = (src, int(sport), dst, int(dport))
            rows.append(Translation(float(stamp[1]), inner, (rdst, int(rdport), rsrc, int(rsport))))
        self.path.unlink()
        return rows


def counters(world: World, node: str) -> dict[str, int]:
    """A node's conntrack statistics summed over CPUs, and the TCP counters that moved."""
    found: dict[str, int] = {}
    if node == "lb":
        for name, value in re.findall(r"(\w+)=(\d+)", world.run("lb", ["conntrack", "-S"])):
            if name != "cpu":
                found[name] = found.get(name, 0) + int(value)
    for line in world.run(node, ["nstat", "-as"]).splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].startswith(("Tcp", "IpIn", "IpOut", "Icmp")) and words[1] != "0":
            found[words[0]] = int(words[1])
    return found
