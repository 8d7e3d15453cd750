"""Two namespaces with one wire between them, small traffic, and ``flowscope live`` at one end."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

EXE = str(Path(sys.executable).with_name("flowscope"))
NEAR, FAR = "10.99.0.1", "10.99.0.2"

CALLS = """
import socket, sys, time
for _ in range(int(sys.argv[3])):
    with socket.socket() as s:
        s.settimeout(1)
        try: s.connect((sys.argv[1], int(sys.argv[2])))
        except OSError: pass
    time.sleep(0.1)
"""

FLOOD = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for at in range(int(sys.argv[2])):
    s.sendto(bytes(1000), (sys.argv[1], 9))
    time.sleep(0.01)
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass
class Wire:
    """``far`` is watched, ``near`` calls it."""

    name: str
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def exec(self, end: str, *line: str) -> list[str]:
        return ["ip", "netns", "exec", f"{self.name}-{end}", *line]

    def call(self, count: int = 5, port: int = 8080) -> None:
        """Calls to a port on which nothing listens."""
        subprocess.run(self.exec("near", sys.executable, "-c", CALLS, FAR, str(port), str(count)), check=True)

    def flood(self, count: int) -> None:
        """Datagrams of 1,000 bytes to a port that is closed."""
        subprocess.run(self.exec("near", sys.executable, "-c", FLOOD, FAR, str(count)), check=True)

    def live(self, *options: str, before: tuple[str, ...] = ()) -> Live:
        line = self.exec("far", *before, EXE, "live", "-i", "e0", "--utc", *options)
        process = subprocess.Popen(line, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.running.append(process)
        return Live(process)


@contextlib.contextmanager
def wire() -> Iterator[Wire]:
    made = Wire(f"fsw{secrets.token_hex(3)}")
    try:
        for end in ("near", "far"):
            ip("netns", "add", f"{made.name}-{end}")
        ip(
            "-n",
            f"{made.name}-near",
            "link",
            "add",
            "e0",
            "type",
            "veth",
            "peer",
            "name",
            "e0",
            "netns",
            f"{made.name}-far",
        )
        for end, address in (("near", NEAR), ("far", FAR)):
            ip("-n", f"{made.name}-{end}", "addr", "add", f"{address}/24", "dev", "e0")
            ip("-n", f"{made.name}-{end}", "link", "set", "e0", "up")
            ip("-n", f"{made.name}-{end}", "link", "set", "lo", "up")
        yield made
    finally:
        for process in made.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        for end in ("near", "far"):
            subprocess.run(["ip", "netns", "del", f"{made.name}-{end}"], capture_output=True)


class Live:
    """A running ``flowscope live`` and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.words: list[tuple[float, str]] = []
        self.out = ""
        self._readers = [threading.Thread(target=target, daemon=True) for target in (self._hear, self._read)]
        for reader in self._readers:
            reader.start()

    def _hear(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.words.append((time.time(), line.rstrip()))

    def _read(self) -> None:
        assert self.process.stdout
        self.out = self.process.stdout.read()

    @property
    def said(self) -> str:
        return "\n".join(line for _, line in self.words)

    def until(self, text: str, patience_s: float = 60) -> float:
        """Waits until it has said this; returns when it did."""
        deadline = time.time() + patience_s
        while time.time() < deadline:
            for at, line in self.words:
                if text in line:
                    return at
            if self.process.poll() is not None and not any(one.is_alive() for one in self._readers):
                break
            time.sleep(0.02)
        raise AssertionError(f"never said {text!r}: {self.said}")

    def ready(self) -> Live:
        self.until("watching")
        # The capture program opens its socket a moment later.
        time.sleep(1.0)
        return self

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, patience_s: float = 90) -> int:
        code = self.process.wait(patience_s)
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self) -> int:
        self.signal(signal.SIGINT)
        return self.end()

    def children(self) -> list[int]:
        """Processes that it started."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in text.split()]


def program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def ids(pid: int) -> dict[str, str]:
    """Fields of a process's status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.partition(":")[0]: line.partition(":")[2].strip() for line in lines}


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "Z" not in ids(pid).get("State", "Z")[:1]
    return False


def missing() -> str | None:
    """Why this cannot run here."""
    if os.geteuid() != 0:
        return "namespaces need root"
    import shutil

    lacking = [name for name in ("ip", "dumpcap", "setpriv") if not shutil.which(name)]
    return f"needs {', '.join(lacking)}" if lacking else None
