"""Output of ``ss`` (iproute2), with any choice of columns.

With one protocol there is no Netid, with a state filter no State; with ``-m -i -o`` a second line belongs to the row
above.

Source: ss(8).
"""

from __future__ import annotations

import re

from flowscope.cloud.listening import Socket, socket_of

_NETIDS = ("tcp", "udp", "mptcp", "sctp", "raw", "icmp6", "nl", "u_str", "u_dgr", "u_seq", "p_raw", "p_dgr", "v_str", "v_dgr")  # fmt: skip # noqa: E501
_STATES = ("LISTEN", "UNCONN", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSE-WAIT",
           "LAST-ACK", "CLOSING", "CLOSED")  # fmt: skip
_PROCESS = re.compile(r'users:\(\("(?P<name>[^"]*)"')


def is_ss(lines: list[str]) -> bool:
    """True when there is a header of ``ss``, or a row with a state of its own spelling and two queues."""
    return any(_is_header(line) or _states(line) for line in lines)


def read_ss(lines: list[str]) -> tuple[list[Socket], bool]:
    """The sockets, and whether a port that is missing is not listened on."""
    found: list[Socket] = []
    for line in lines:
        socket = None if _is_header(line) else _row(line, "tcp")
        if socket is not None:
            found.append(socket)
    return found, any(one.protocol == "tcp" and one.listens for one in found)


def _states(line: str) -> bool:
    """True for a row whose state stands where only ss puts it: in front of the queues."""
    words = line.split()
    words = words[1:] if words and words[0] in _NETIDS else words
    return len(words) > 4 and words[0] in _STATES and words[1].isdecimal() and words[2].isdecimal()


def _is_header(line: str) -> bool:
    return "Recv-Q" in line and "Address:Port" in line


def _row(line: str, protocol: str) -> Socket | None:
    words = line.split()
    if line[:1].isspace() and (not words or not words[0].isdecimal()):
        return None
    if words and words[0] in _NETIDS:
        protocol, words = words[0], words[1:]
        if protocol not in ("tcp", "udp"):
            return None
    state = words.pop(0) if words and words[0] in _STATES else None
    if len(words) < 4 or not (words[0].isdecimal() and words[1].isdecimal()):
        return None
    if state == "UNCONN" and protocol == "tcp":
        # Without a Netid, sockets that are not connected are those of UDP.
        protocol = "udp"
    local, peer = words[2], words[3]
    process = _PROCESS.search(line)
    queue = (int(words[0]), int(words[1])) if state in ("LISTEN", None) and protocol == "tcp" else (None, None)
    socket = socket_of(protocol, local, peer, process=process["name"] if process else None)
    if socket is None or not socket.listens:
        return socket
    return socket_of(protocol, local, peer, process=socket.process, queued=queue[0], queue_limit=queue[1])
