"""A service that serves some calls and lets others hang, at ``far`` of a wire."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.live.wires import FAR, Wire

_SERVER = """
import socket
listening = socket.create_server(("", 8080)); kept = []
print("ready", flush=True)
while True:
    one, _ = listening.accept()
    if b"hang" in one.recv(200): kept.append(one)
    else: one.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"); one.close()
"""
_CLIENT = """
import socket, sys, time
kept = []
for path in ["served"] * 8 + ["hang"] * 4:
    one = socket.create_connection((sys.argv[1], 8080), 5)
    one.sendall(f"GET /{path} HTTP/1.1\\r\\n\\r\\n".encode())
    if path == "hang": kept.append(one)
    else: one.recv(200); one.close()
print("asked", flush=True)
time.sleep(float(sys.argv[2]))
"""
_TOPOLOGY = f"""
[[pool]]
name = "web"
members = [ {{ name = "far", address = "{FAR}", port = 8080 }} ]

[[point]]
file = "FILE"
name = "far"
node = "far"
"""
HUNG = 4
"""Calls that hang."""


def serve(one: Wire) -> None:
    """Starts the service."""
    server = subprocess.Popen(one.exec("far", sys.executable, "-c", _SERVER), stdout=subprocess.PIPE, text=True)
    one.running.append(server)
    assert server.stdout and server.stdout.readline()


def ask(one: Wire, patience_s: float) -> subprocess.Popen[str]:
    """Makes the calls; returns once all have been made, with the client that waits for answers."""
    line = one.exec("near", sys.executable, "-c", _CLIENT, FAR, str(patience_s))
    client = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    one.running.append(client)
    assert client.stdout and client.stdout.readline()
    return client


def known(folder: Path, file: str) -> Path:
    """A topology that says what stands where, for a capture of that name."""
    path = folder / "known.toml"
    path.write_text(_TOPOLOGY.replace("FILE", file))
    return path
