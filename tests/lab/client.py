"""A small scripted HTTP client, run inside a namespace: ``client.py SPEC.json``. Logs each connection."""

from __future__ import annotations

import asyncio
import errno
import json
import random
import socket
import struct
import sys
import time
from typing import Any

RESULTS = {
    errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "timeout", errno.ECONNRESET: "reset", errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "unreachable", errno.ENETUNREACH: "unreachable", errno.EACCES: "unreachable",
}  # fmt: skip


class Ports:
    """Source ports in random order, none twice: the socket's own choice is lost once a connect has failed."""

    def __init__(self, seed: str, first: int, last: int) -> None:
        self.free = list(range(first, last + 1))
        random.Random(seed).shuffle(self.free)

    def bind(self, source: str) -> socket.socket:
        """A socket bound to the source address and the next port that is free."""
        while True:
            sock = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((source, self.free.pop()))
            except OSError:
                sock.close()
                continue
            return sock


class Caller:
    """Makes calls and remembers what became of them."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.node, self.first = spec["node"], spec["first"]
        self.ports = Ports(f"{spec['seed']}", *spec.get("ports", (32768, 60999)))
        self.done: list[dict[str, Any]] = []

    async def call(self, n: int, want: dict[str, Any]) -> None:
        """One connection: connect, do the steps, close."""
        if want.get("sport"):
            sock = socket.socket(socket.AF_INET)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((want["source"], want["sport"]))
        else:
            sock = self.ports.bind(want["source"])
        sock.setblocking(False)
        name = sock.getsockname()
        row: dict[str, Any] = {
            "id": f"{self.node}-{n}", "node": self.node, "src": name[0], "sport": name[1], "dst": want["target"][0],
            "dport": want["target"][1], "t_syn": time.time(), "phase": "connect", "http_status": None, "bytes": 0,
            "requests_ok": 0, "tag": want.get("tag"), "members": [],
        }  # fmt: skip
        self.done.append(row)
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.sock_connect(sock, tuple(want["target"])), want.get("timeout", 3.2))
            row["phase"] = "request"
            for step in want.get("steps") or [["get", 3]]:
                await asyncio.wait_for(self.step(loop, sock, row, step), want.get("read_timeout", 6.0))
            row["phase"], row["client_result"] = None, "ok"
        except TimeoutError:
            row["client_result"] = "timeout"
        except OSError as fault:
            row["client_result"] = RESULTS.get(fault.errno or 0, fault.strerror or "error")
        except EOFError:
            row["client_result"] = "closed"
        sock.close()
        row["t_end"] = time.time()

    async def step(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, row: dict[str, Any], step: list[Any]
    ) -> None:
        """``get SIZE [WAIT] [close] [UPLOAD]``, ``sleep S``, ``send SIZE``, ``until T``, ``half``, ``abort``."""
        word, *args = step
        if word == "sleep":
            await asyncio.sleep(args[0])
        elif word == "until":
            await asyncio.sleep(max(0, args[0] - time.time()))
        elif word == "half":
            sock.shutdown(socket.SHUT_WR)
        elif word == "abort":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif word == "send":
            await loop.sock_sendall(sock, b"GET /partial HTTP/1.1\r\nX-Pad: ".ljust(args[0], b"p"))
        else:
            size, wait, close, upload = (
                (*args, 0, "", 0)[:4] if len(args) == 1 else (*args, *[0, "", 0][len(args) - 1 :])
            )
            await self.get(loop, sock, row, size, wait, close == "close", upload)

    async def get(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, row: dict[str, Any], size: int, wait: float,
        close: bool, upload: int,
    ) -> None:  # fmt: skip
        """One request and its whole response."""
        host = f"{row['dst']}:{row['dport']}"
        head = (
            f"{'POST' if upload else 'GET'} /data?size={size}&wait={wait} HTTP/1.1\r\nHost: {host}\r\n"
            f"X-Call: {row['id']}\r\n{'Connection: close' + chr(13) + chr(10) if close else ''}"
            f"{f'Content-Length: {upload}' + chr(13) + chr(10) if upload else ''}\r\n"
        )
        await loop.sock_sendall(sock, head.encode() + b"u" * upload)
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self.some(loop, sock)
        top, _, body = data.partition(b"\r\n\r\n")
        fields = {
            k.lower(): v.strip() for k, _, v in (f.partition(":") for f in top.decode("latin-1").split("\r\n")[1:])
        }
        row["http_status"] = int(top.split()[1])
        row["members"].append(fields.get("x-member"))
        left = int(fields.get("content-length", 0)) - len(body)
        while left > 0:
            left -= len(await self.some(loop, sock))
        row["bytes"] += int(fields.get("content-length", 0))
        row["requests_ok"] += 1
        if close:
            await loop.sock_recv(sock, 1)

    @staticmethod
    async def some(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
        """Bytes from the peer; the end of the connection is an error here."""
        data = await loop.sock_recv(sock, 65536)
        if not data:
            raise EOFError
        return data

    async def group(self, start: int, want: dict[str, Any]) -> None:
        """``count`` calls, ``gap`` seconds apart, at most ``together`` at once."""
        await asyncio.sleep(want.get("at", 0))
        limit, tasks = asyncio.Semaphore(want.get("together", 500)), []

        async def one(n: int) -> None:
            try:
                await self.call(n, want)
            finally:
                limit.release()

        for n in range(want.get("count", 1)):
            await limit.acquire()
            tasks.append(asyncio.create_task(one(start + n)))
            if want.get("gap"):
                await asyncio.sleep(want["gap"] * random.uniform(0.5, 1.5))
        await asyncio.gather(*tasks)


async def main() -> None:
    """Make all calls of the specification, then write the log."""
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)
    random.seed(spec["seed"])
    caller, start, groups = Caller(spec), spec["first"], []
    for want in spec["calls"]:
        groups.append(caller.group(start, want))
        start += want.get("count", 1)
    await asyncio.gather(*groups)
    with open(spec["log"], "w", encoding="utf-8") as log:
        log.writelines(json.dumps(row) + "\n" for row in caller.done)


if __name__ == "__main__":
    asyncio.run(main())
