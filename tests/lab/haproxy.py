"""HAProxy in the balancer: its configuration, its process, and the pairs of connections from its log."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from tests.lab.nat import Target
from tests.lab.truth import leg
from tests.lab.world import World

LOG = "%ci:%cp %fi:%fp %bi:%bp %si:%sp %s"


def frontend(name: str, target: Target, members: dict[str, str], probe_port: int, kind: str) -> str:
    """One frontend and its backend. ``kind``: ``v1``, ``v2`` (tcp with a PROXY header), ``http`` or ``reuse``."""
    send = {"v1": " send-proxy", "v2": " send-proxy-v2"}.get(kind, "")
    mode = "tcp" if send else "http"
    how = ["    http-reuse always" if kind == "reuse" else "    http-reuse never"] if mode == "http" else []
    how += ["    option forwardfor"] if mode == "http" else []
    # A check on a port of its own sends no PROXY header.
    servers = [
        f"    server {members[address]} {address}:{target.member_port}{send} check port {probe_port} inter 1s fall 2"
        for address in target.members
    ]
    return "\n".join([
        f"frontend {name}", f"    mode {mode}", f"    bind {target.address}:{target.port}", f'    log-format "{LOG}"',
        f"    default_backend {name}_pool", f"backend {name}_pool", f"    mode {mode}", "    balance roundrobin", *how,
        "    option httpchk GET /healthz", *servers, "",
    ])  # fmt: skip


class HAProxy:
    """The proxy's process; it logs to a file."""

    def __init__(self, world: World, folder: Path, frontends: str) -> None:
        self.log = folder / "haproxy.log"
        config = folder / "haproxy.cfg"
        config.write_text(
            "global\n    maxconn 2000\n    log stdout format raw local0\ndefaults\n    log global\n"
            "    timeout connect 3s\n    timeout client 20s\n    timeout server 20s\n    timeout http-keep-alive 20s\n"
            + frontends
        )
        with self.log.open("w") as out:
            self.process = world.spawn(
                "lb", ["haproxy", "-db", "-f", str(config)], stdout=out, stderr=subprocess.DEVNULL
            )
        time.sleep(1.5)
        if self.process.poll() is not None:
            raise RuntimeError(f"haproxy did not start: {config}")
        config.unlink()

    def pairs(self) -> list[dict[str, Any]]:
        """One row per logged request or connection: the client's leg and the server's."""
        rows = []
        for line in self.log.read_text().splitlines():
            words = line.split()
            if len(words) != 5 or any(word.count(":") != 1 for word in words[:4]) or words[4].startswith("<"):
                continue
            (ci, cp), (fi, fp), (bi, bp), (si, sp) = (word.split(":") for word in words[:4])
            rows.append({
                "client_leg": leg((ci, int(cp), fi, int(fp))), "server_leg": leg((bi, int(bp), si, int(sp))),
                "server": words[4],
            })  # fmt: skip
        self.log.unlink()
        return rows
