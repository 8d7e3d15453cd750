"""What a host listens on, as its tools print it or as this machine says itself, in one form."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from flowscope.cloud.given import Given
from flowscope.cloud.security_rules import Network

#: Names that tools print in place of numbers (IANA's registry), for ports that balancers serve; others stay names.
_NAMES = {
    "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "http": 80, "www": 80, "kerberos": 88, "pop3": 110,
    "sunrpc": 111, "ntp": 123, "epmap": 135, "imap2": 143, "imap": 143, "snmp": 161, "ldap": 389, "https": 443,
    "microsoft-ds": 445, "submission": 587, "ipp": 631, "ldaps": 636, "imaps": 993, "pop3s": 995, "socks": 1080,
    "ms-sql-s": 1433, "nfs": 2049, "mysql": 3306, "ms-wbt-server": 3389, "postgresql": 5432, "amqp": 5672,
    "http-alt": 8080, "webcache": 8080, "https-alt": 8443, "pcsync-https": 8443,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Socket:
    """One row of such a list."""

    protocol: str
    """``tcp`` or ``udp``."""
    address: str | None
    """Canonical; None for every address."""
    family: int | None
    """4 or 6; None for both."""
    port: int | None
    """None when the tool printed a name that nobody knows, or cut it."""
    listens: bool
    """False for connections (UDP sockets without a peer listen)."""
    process: str | None = None
    """Name of the program; None when it is not told, or belongs to someone whose processes may not be seen."""
    queued: int | None = None
    """Connections that wait to be accepted, where the tool says so."""
    queue_limit: int | None = None
    pid: int | None = None

    @property
    def text(self) -> str:
        """``127.0.0.1:8080``, ``*:80``."""
        host = {4: "0.0.0.0", 6: "[::]", None: "*"}[self.family] if self.address is None else self.address
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"{shown}:{self.port}"

    def answers(self, address: str, port: int) -> bool:
        """Whether it listens for connections to this endpoint."""
        if not self.listens or self.port != port:
            return False
        if self.address is not None:
            return self.address == address
        # A wildcard socket of version 6 takes version 4, too, unless told otherwise.
        return self.family in (None, 6) or (self.family == 4) == (":" not in address)


@dataclass(frozen=True, slots=True)
class Listening:
    """One file of ``--listening``."""

    given: Given
    sockets: tuple[Socket, ...]
    complete: bool
    """False when a port that is missing may be listened on all the same: rights, options, or a cut list."""
    where: str | None = None
    """Whose it is, as the user says."""
    hosts: tuple[Network, ...] = ()
    """The same, as addresses."""

    def is_of(self, address: str) -> bool:
        """True when the user, or an address in the list, says that it is of this host."""
        if self.hosts:
            at = ipaddress.ip_address(address)
            return any(at.version == one.version and at in one for one in self.hosts)
        return any(socket.address == address for socket in self.sockets)

    def at(self, address: str, port: int) -> list[Socket]:
        """TCP sockets that listen for this endpoint."""
        return [one for one in self.sockets if one.protocol == "tcp" and one.answers(address, port)]

    def elsewhere(self, port: int) -> list[Socket]:
        """TCP sockets that listen on the port, on whatever address."""
        return [one for one in self.sockets if one.protocol == "tcp" and one.listens and one.port == port]

    @property
    def ports(self) -> list[int]:
        """TCP ports that anything listens on."""
        return sorted(
            {one.port for one in self.sockets if one.protocol == "tcp" and one.listens and one.port is not None}
        )


def socket_of(protocol: str, local: str, peer: str | None, *, cut: bool = False, **more: object) -> Socket | None:
    """A row as a socket; None when its local end is no address.

    Args:
        protocol: as printed: ``tcp``, ``tcp6``, ``tcp46``, ``UDP``, ...
        local: as printed: ``0.0.0.0:80``, ``[::]:80``, ``:::80``, ``*.80``, ``10.0.0.4%eth0:80``.
        peer: the same of the other end; None when the tool prints none.
        cut: the end of the local address may be missing.
        more: other fields of the socket.
    """
    kind = protocol.lower()
    host, port = split_end(local)
    if port in (None, "*"):
        return None
    family = 4 if kind.endswith("4") else 6 if kind.endswith("6") and not kind.endswith("46") else None
    bare = host.replace("[", "").replace("]", "").split("%")[0]
    address: str | None = None
    if bare not in ("*", ""):
        try:
            parsed = ipaddress.ip_address(bare)
        except ValueError:
            # A name, or an address that was cut to its column.
            return None if not cut else Socket(kind[:3], bare, None, None, _is_any(peer), **more)  # type: ignore[arg-type]
        mapped = parsed.ipv4_mapped if parsed.version == 6 else None
        family = 4 if mapped else parsed.version
        address = None if parsed.is_unspecified else str(mapped or parsed)
    number = None if cut else int(port) if port.isdecimal() and len(port) < 6 else _NAMES.get(port.lower())
    return Socket(kind[:3], address, family, number, _is_any(peer), **more)  # type: ignore[arg-type]


def split_end(text: str) -> tuple[str, str | None]:
    """Host and port of an end as printed; BSD puts a dot where others have a colon."""
    at = max(text.rfind(":"), text.rfind("."))
    return (text, None) if at < 0 else (text[:at] or "*", text[at + 1 :] or None)


def _is_any(peer: str | None) -> bool:
    """True when the other end stands for anybody: who has one listens. State words are translated by language."""
    if peer is None:
        return True
    host, port = split_end(peer)
    return port in ("*", "0") and re.sub(r"[\[\]%].*", "", host.lstrip("[")) in ("*", "0.0.0.0", "::", "", ":")


def whose(files: Sequence[Listening], address: str) -> tuple[Listening, bool] | None:
    """The list of a host, and whether that is sure; None when there is none.

    A list that does not say whose it is (nothing but wildcards) is taken for the host's when it is the only one.
    """
    mine = [one for one in files if one.is_of(address)]
    if mine:
        return mine[0], True
    open_ = [one for one in files if not one.hosts]
    return (open_[0], False) if len(open_) == 1 and len(files) == 1 else None
