"""A small scripted HTTP server, run inside a namespace: ``server.py SPEC.json``. Logs every connection it accepted."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any, TextIO

GARBAGE = b"\x00\x01\x02 not http at all\r\n\r\n"


class Server:
    """The listeners of one host; what each answers follows its script of (seconds, state) pairs."""

    def __init__(self, spec: dict[str, Any], log: TextIO) -> None:
        self.name, self.clock, self.log = spec["name"], Path(spec["clock"]), log
        self.t0: float | None = None
        self.listeners = spec["listen"]
        self.tasks: set[asyncio.Task[None]] = set()
        self.probed = 0

    def state(self, listener: dict[str, Any]) -> str:
        """What the script says now; its time begins when the clock file appears."""
        if self.t0 is None and listener.get("script") and self.clock.exists():
            self.t0 = self.clock.stat().st_mtime
        now, state = time.time() - self.t0 if self.t0 else 0, "200"
        for since, word in listener.get("script", []):
            if now >= since:
                state = word
        return state

    def bind(self, listener: dict[str, Any]) -> socket.socket:
        """Open the listening socket of one entry."""
        address = listener["address"]
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, listener["port"]))
        sock.listen(listener.get("backlog", 1024))
        sock.setblocking(False)
        return sock

    async def listen(self, listener: dict[str, Any]) -> None:
        """Accept connections for ever; the state ``refuse`` closes the socket itself."""
        loop, sock = asyncio.get_running_loop(), None
        coming: asyncio.Task[tuple[socket.socket, Any]] | None = None
        while True:
            if self.state(listener) == "refuse":
                # A connection may just have been taken: then nothing waits, and the socket is open all the same.
                if coming:
                    coming.cancel()
                if sock:
                    sock.close()
                coming = sock = None
                await asyncio.sleep(0.02)
                continue
            sock = sock or self.bind(listener)
            if not listener.get("accept", True):
                await asyncio.sleep(3600)
            # A timeout around accept itself could lose the connection that comes at that moment.
            coming = coming or asyncio.create_task(loop.sock_accept(sock))
            if not (await asyncio.wait({coming}, timeout=0.1 if listener.get("script") else None))[0]:
                continue
            conn, peer = coming.result()
            coming = None
            task = asyncio.create_task(self.serve(listener, conn, peer))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def serve(self, listener: dict[str, Any], conn: socket.socket, peer: Any) -> None:
        """Answer the requests of one connection."""
        entry: dict[str, Any] = {
            "member": self.name, "role": listener.get("role", "data"), "t": time.time(),
            "local": conn.getsockname()[:2], "peer": peer[:2], "requests": [],
        }  # fmt: skip
        reader, writer = await asyncio.open_connection(sock=conn)
        try:
            if listener.get("proxy"):
                entry["proxy"] = await read_proxy(reader)
            while await self.answer(listener, reader, writer, entry):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as fault:
            entry["fault"] = type(fault).__name__
        writer.close()
        self.log.write(json.dumps(entry) + "\n")
        self.log.flush()

    async def answer(
        self,
        listener: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        entry: dict[str, Any],
    ) -> bool:
        """Answer one request; false when the connection is over."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (f.partition(":") for f in fields if f)}
        words = dict(part.split("=") for part in line.split()[1].partition("?")[2].split("&") if "=" in part)
        if headers.get("content-length"):
            await reader.readexactly(int(headers["content-length"]))
        entry["requests"].append({"t": time.time(), "id": headers.get("x-call"), "for": headers.get("x-forwarded-for")})
        state = self.state(listener)
        if probes := line.split()[1] == "/healthz" and listener.get("probes"):
            # Told by their number: what was answered does not hang on when a probe came.
            state = probes[min(self.probed, len(probes) - 1)]
            self.probed += 1
        status, wait = "200", float(words.get("wait", 0))
        if state == "hang":
            await asyncio.sleep(3600)
        elif state == "close":
            return False
        elif state == "garbage":
            writer.write(GARBAGE)
            return False
        elif state.startswith("slow:"):
            wait = float(state[5:])
        else:
            status = state
        if wait:
            await asyncio.sleep(wait)
        body = (self.name + " ").encode().ljust(int(words.get("size", 3)), b"x")[: int(words.get("size", 3))]
        last = headers.get("connection", "").lower() == "close"
        extra = "Location: /elsewhere\r\n" if status == "301" else ""
        writer.write(
            f"HTTP/1.1 {status} Scripted\r\nContent-Length: {len(body)}\r\nX-Member: {self.name}\r\n{extra}"
            f"Connection: {'close' if last else 'keep-alive'}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        return not last


async def read_proxy(reader: asyncio.StreamReader) -> str:
    """Read a PROXY header of either version; returns it as text or hexadecimal."""
    start = await reader.readexactly(12)
    if start.startswith(b"PROXY"):
        return (start + await reader.readuntil(b"\r\n")).decode().strip()
    fixed = await reader.readexactly(4)
    return (start + fixed + await reader.readexactly(int.from_bytes(fixed[2:], "big"))).hex()


async def main() -> None:
    """Serve what the specification names, until killed."""
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)
    with open(spec["log"], "a", encoding="utf-8") as log:
        server = Server(spec, log)
        tasks = [asyncio.create_task(server.listen(entry)) for entry in server.listeners]
        await asyncio.sleep(0.05)
        print("ready", flush=True)
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main())
