"""The kernel's own record of translations: events of conntrack, read while a scenario runs."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab.packets import Tuple4
from tests.lab.world import World

PAIR = re.compile(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)")


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
        argv = ["stdbuf", "-oL", "conntrack", "-E", "-e", "NEW", "-p", "tcp", "-o", "timestamp", "-b", "8388608"]
        with self.path.open("w") as out:
            self.process = world.spawn("lb", argv, stdout=out, stderr=subprocess.DEVNULL)
        time.sleep(0.15)

    def stop(self) -> list[Translation]:
        """End it and read what it saw."""
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
