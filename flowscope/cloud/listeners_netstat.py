"""Output of ``netstat``: Windows, Linux (busybox included), BSD and macOS; several outputs in one file.

Source: netstat(8) of net-tools, FreeBSD and macOS; Microsoft, netstat command (2023-02).
"""

from __future__ import annotations

import re

from flowscope.cloud.listening import Socket, socket_of

_PROTOCOL = re.compile(r"(tcp|udp)(4|6|46)?$", re.IGNORECASE)
_OWNER = re.compile(r"\[(?P<name>[^\]]+)\]$")


def is_netstat(lines: list[str]) -> bool:
    """True when a line has a protocol and two ends."""
    return any(_row(line, 0) is not None for line in lines)


def read_netstat(lines: list[str]) -> tuple[list[Socket], bool]:
    """The sockets, and whether a port that is missing is not listened on."""
    found: list[Socket] = []
    width, servers = 0, False
    for line in lines:
        width = _width(line) or width
        # Without -a or -l (and on BSD without "including servers") only connections are listed.
        servers = servers or ("servers" in line and "w/o" not in line) or line.strip() in ("Active Connections",)
        owner = _OWNER.match(line.strip())
        if owner and found and line[:1].isspace():
            found[-1] = _owned(found[-1], owner["name"])
            continue
        socket = _row(line, width)
        if socket is not None:
            found.append(socket)
    tcp = [one for one in found if one.protocol == "tcp"]
    listed = any(one.listens for one in tcp)
    whole = not any(one.listens and one.port is None for one in tcp)
    return found, bool(tcp) and (listed or servers) and whole


def _row(line: str, width: int) -> Socket | None:
    words = line.split()
    # With -A, BSD puts addresses of control blocks in front.
    at = next((n for n, word in enumerate(words[:3]) if _PROTOCOL.match(word)), None)
    if at is None:
        return None
    rest = words[at + 1 :]
    while rest and rest[0].isdecimal():
        rest = rest[1:]
    if len(rest) < 2:
        return None
    local, peer = rest[0], rest[1]
    cut = bool(width) and len(local) >= width - 1 and local.rfind(".") > local.rfind(":")
    process = next((word.split("/", 1)[1] for word in rest[2:] if re.match(r"[0-9]+/.", word)), None)
    return socket_of(words[at], local, peer, cut=cut, process=process)


def _width(header: str) -> int:
    """Room for the local address in a table of BSD; longer ones are cut there, and the port with them."""
    start, end = header.find("Local Address"), header.find("Foreign Address")
    return end - start if 0 <= start < end and "(state)" in header else 0


def _owned(socket: Socket, name: str) -> Socket:
    return Socket(socket.protocol, socket.address, socket.family, socket.port, socket.listens, name)
