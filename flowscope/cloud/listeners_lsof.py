"""Output of ``lsof``: rows of IPv4 and IPv6 sockets among all others.

Without root it shows only one's own sockets, so what is missing proves nothing; ``COMMAND`` can hold spaces and more
columns may stand before, so rows are read from ``IPv4`` or ``IPv6`` on.

Source: lsof(8).
"""

from __future__ import annotations

import re

from flowscope.cloud.listening import Socket, socket_of

_ROW = re.compile(
    r"^(?P<command>\S+).*?\s(?P<family>IPv[46])\s.*?\s(?P<protocol>TCP|UDP)\s+(?P<local>[^\s>]+?)(?:->(?P<peer>\S+))?"
    r"(?:\s+\((?P<state>[A-Z_0-9]+)\))?\s*$"
)
_HEADER = re.compile(r"^COMMAND\s+.*PID\s+.*(USER|FD)\s")


def is_lsof(lines: list[str]) -> bool:
    """True when there is its header, or one of its rows."""
    return any(_HEADER.match(line) or _ROW.match(line) for line in lines)


def read_lsof(lines: list[str]) -> tuple[list[Socket], bool]:
    """The sockets, and whether a port that is missing is not listened on."""
    found = []
    root = False
    for line in lines:
        match = _ROW.match(line)
        if match is None:
            continue
        # Rows of root's processes are shown to root only.
        root = root or bool(re.search(r"\sroot\s", line[: match.start("family")]))
        listens = match["state"] in ("LISTEN", None) and match["peer"] is None
        kind = match["protocol"] + match["family"][-1]
        socket = socket_of(kind, match["local"], None if listens else match["peer"] or "-", process=match["command"])
        if socket is not None:
            found.append(socket)
    return found, root and any(one.listens for one in found)
