"""What listens where on this machine: the host's side of a refused connection."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from flowscope.cloud.listening import Socket


def listeners() -> list[Socket]:
    """Every listening socket of this machine (of this network namespace), by port.

    Names of programs are known for processes that this user may look at; root may look at all.
    """
    import psutil

    names: dict[int, str | None] = {}

    def name(pid: int | None) -> str | None:
        if pid is not None and pid not in names:
            try:
                names[pid] = psutil.Process(pid).name()
            except psutil.Error:
                names[pid] = None
        return names.get(pid) if pid is not None else None

    found = set()
    for one in psutil.net_connections("inet"):
        if not one.laddr:
            continue
        stream = one.type == socket.SOCK_STREAM
        if (one.status == psutil.CONN_LISTEN) if stream else not one.raddr:
            address = ipaddress.ip_address(one.laddr.ip.partition("%")[0])
            found.add(
                Socket(
                    protocol="tcp" if stream else "udp",
                    address=None if address.is_unspecified else str(address),
                    family=address.version,
                    port=one.laddr.port,
                    listens=True,
                    process=name(one.pid),
                    pid=one.pid,
                )
            )
    return sorted(found, key=lambda one: (one.protocol, one.port or 0, one.text, one.pid or 0))


def on_port(listening: Iterable[Socket], address: str, port: int) -> str:
    """What listens for connections to a TCP endpoint of this machine, in words: ``nothing listens on 8080``."""
    here = [one for one in listening if one.protocol == "tcp" and one.listens and one.port == port]
    answering = [one for one in here if one.answers(address, port)]
    if answering:
        return f"{_who(answering)} listens on {answering[0].text}"
    if here:
        places = ", ".join(dict.fromkeys(one.text for one in here))
        return f"nothing listens on {port} at {address}; {_who(here)} listens on {places} only"
    return f"nothing listens on {port}"


def _who(found: list[Socket]) -> str:
    return " and ".join(dict.fromkeys(one.process or "a process of another user" for one in found))
