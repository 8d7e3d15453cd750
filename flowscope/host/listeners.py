"""What listens where on this machine: the host's side of a refused connection."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listener:
    """One socket that waits for connections (UDP: that is bound and has no peer)."""

    protocol: str
    """``tcp`` or ``udp``."""
    address: str
    """``0.0.0.0`` and ``::`` stand for every address."""
    port: int
    program: str | None = None
    """Name of the process; None when it belongs to someone whose processes may not be seen."""
    pid: int | None = None

    @property
    def endpoint(self) -> str:
        """``127.0.0.1:8080``, ``[::1]:8080``."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def answers(self, address: str) -> bool:
        """It takes connections to this address. A wildcard of version 6 takes version 4 as well (Linux's default)."""
        bound, called = ipaddress.ip_address(self.address), ipaddress.ip_address(address)
        if bound.is_unspecified:
            return bound.version == 6 or called.version == 4
        return bound == called


def listeners() -> list[Listener]:
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
            address = one.laddr.ip.partition("%")[0]
            found.add(Listener("tcp" if stream else "udp", address, one.laddr.port, name(one.pid), one.pid))
    return sorted(found, key=lambda one: (one.protocol, one.port, one.address, one.pid or 0))


def on_port(listening: Iterable[Listener], address: str, port: int) -> str:
    """What listens for connections to a TCP endpoint of this machine, in words: ``nothing listens on 8080``."""
    here = [one for one in listening if one.protocol == "tcp" and one.port == port]
    answering = [one for one in here if one.answers(address)]
    if answering:
        return f"{_who(answering)} listens on {answering[0].endpoint}"
    if here:
        places = ", ".join(dict.fromkeys(one.endpoint for one in here))
        return f"nothing listens on {port} at {address}; {_who(here)} listens on {places} only"
    return f"nothing listens on {port}"


def _who(found: list[Listener]) -> str:
    return " and ".join(dict.fromkeys(one.program or "a process of another user" for one in found))
