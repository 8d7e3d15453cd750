"""A health prober, run inside the balancer: ``prober.py SPEC.json``. Takes members out of the nft pool and back."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.lab import nat

# What Azure Front Door's edges say of themselves.
FRONT_DOOR = "User-Agent: Edge Health Probe\r\nX-FD-HealthProbe: 1\r\n"


class Health:
    """What a policy thinks of one member, probe by probe."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.policy = spec["policy"]
        self.fall, self.rise = spec.get("unhealthy_threshold", 1), spec.get("healthy_threshold", 1)
        self.need = spec.get("successful_samples", 2)
        self.samples: deque[bool] = deque([True] * spec.get("sample_size", 4), maxlen=spec.get("sample_size", 4))
        self.up, self.row = True, 0

    def add(self, good: bool) -> bool:
        """Count a probe; returns whether the member's state changed."""
        before = self.up
        self.samples.append(good)
        if self.policy == "front-door":
            self.up = sum(self.samples) >= self.need
        else:
            self.row = self.row + 1 if good != self.up else 0
            if self.row >= (self.fall if self.up else self.rise):
                self.up, self.row = good, 0
        return self.up != before


class Prober:
    """Probes every member once per interval, each over a new connection."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.members = [tuple(member) for member in spec["members"]]
        self.health = {name: Health(spec) for name, _ in self.members}
        self.log = Path(spec["log"])
        self.over = False

    def end(self) -> None:
        """Send no more probes."""
        self.over = True

    def tell(self, **event: Any) -> None:
        """Write one event."""
        with self.log.open("a", encoding="utf-8") as out:
            out.write(json.dumps(event | {"t": time.time()}) + "\n")

    async def once(self, address: str) -> bool:
        """One probe: 200 within the timeout is success, all else failure."""
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            sock.bind((self.spec["source"], 0))
            async with asyncio.timeout(self.spec["timeout"]):
                await loop.sock_connect(sock, (address, self.spec["port"]))
                said = FRONT_DOOR if self.spec["policy"] == "front-door" else ""
                request = f"GET {self.spec['path']} HTTP/1.1\r\nHost: {address}\r\n{said}\r\n"
                await loop.sock_sendall(sock, request.encode())
                answer = b""
                while b"\r\n\r\n" not in answer:
                    data = await loop.sock_recv(sock, 4096)
                    if not data:
                        return False
                    answer += data
                return answer.split()[1] == b"200"
        except (OSError, TimeoutError, IndexError):
            return False
        finally:
            sock.close()

    async def watch(self, name: str, address: str, delay: float) -> None:
        """Probe one member until told to end, and no longer than the last probe takes."""
        await asyncio.sleep(delay)
        due = time.monotonic()
        while not self.over:
            good = await self.once(address)
            if not good:
                self.tell(event="failed", target=name)
            if self.health[name].add(good):
                self.tell(event="state", target=name, up=self.health[name].up)
                self.apply()
            due += self.spec["interval"]
            await asyncio.sleep(max(0, due - time.monotonic()))

    def apply(self) -> None:
        """Load the pool of the members that are up."""
        chosen = [(n, a) for n, a in self.members if self.health[n].up]
        open_all = not chosen and self.spec.get("fail_open", self.spec["policy"] == "front-door")
        chosen = self.members if open_all else chosen
        addresses = tuple(address for _, address in chosen)
        rules = nat.pool_rules([nat.Target(vip, port, addresses, inner) for vip, port, inner in self.spec["frontends"]])
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        note = "fail-open" if open_all else "normal" if chosen else "fail-closed"
        self.tell(event="pool", members=[name for name, _ in chosen], note=note)

    async def run(self) -> None:
        """Probe all members, spread over the interval, until SIGTERM."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.end)
        self.tell(event="pool", members=[name for name, _ in self.members], note="normal")
        step = self.spec["interval"] / len(self.members)
        await asyncio.gather(*(self.watch(n, a, step * i) for i, (n, a) in enumerate(self.members)))


if __name__ == "__main__":
    asyncio.run(Prober(json.loads(Path(sys.argv[1]).read_text())).run())
