"""The files of ``--listening``: which tool printed each, by its content."""

from __future__ import annotations

from flowscope.cloud.given import given_of, split_where
from flowscope.cloud.json_tree import looks_like_json
from flowscope.cloud.listeners_lsof import is_lsof, read_lsof
from flowscope.cloud.listeners_netstat import is_netstat, read_netstat
from flowscope.cloud.listeners_ss import is_ss, read_ss
from flowscope.cloud.listening import Listening
from flowscope.cloud.security_files import place_of
from flowscope.cloud.security_rules import Network
from flowscope.cloud.text import decode, read_bytes
from flowscope.errors import GivenFileError

_WANTED = "--listening takes what `ss -ltn`, `netstat -an` or `lsof -nP -i` prints"

_TOOLS = (("ss", is_ss, read_ss), ("netstat", is_netstat, read_netstat), ("lsof", is_lsof, read_lsof))


def read_listening_file(value: str, places: dict[str, tuple[Network, ...]]) -> Listening:
    """One file of ``--listening``.

    Args:
        value: ``FILE`` or ``FILE=WHERE``.
        places: addresses by the names that WHERE may use.

    Raises:
        GivenFileError: it cannot be read, no tool that is known printed it, or WHERE names nobody.
    """
    path, where = split_where(value)
    data = read_bytes(path)
    text = decode(data, strict=False)
    lines = text.split("\n")
    for name, fits, read in _TOOLS:
        if fits(lines):
            sockets, complete = read(lines)
            listening = sum(one.listens for one in sockets)
            given = given_of("listening", data, name, sockets=len(sockets), listening=listening)
            hosts = place_of(path, where, places) if where is not None else ()
            return Listening(given, tuple(sockets), complete, where, hosts)
    what = "is JSON" if looks_like_json(text) and text.rstrip()[-1:] in "}]" else "has no row of a socket"
    raise GivenFileError(path, f"{what}; {_WANTED}")
