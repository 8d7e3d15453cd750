"""What ``flowscope live`` was asked to capture: checked, and made into sources."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowscope.errors import FlowscopeError

if TYPE_CHECKING:
    from flowscope.host.rights import User
    from flowscope.live.sources import Source

#: What is not kept with ``-w`` may take so much of the temporary folder, per source.
SPOOL_BYTES = 1 << 30
#: A file that has grown so far says what it is, compressed or not.
_TELLING_BYTES = 512
_RING = ("filesize", "files", "duration", "interval", "packets")
_UNTIL = ("duration", "filesize", "packets")


@dataclass(frozen=True, slots=True)
class Plan:
    """The options about capturing."""

    interfaces: tuple[str, ...]
    captures: tuple[str, ...]
    filter: str | None
    write: str | None
    ring: tuple[str, ...]
    until: tuple[str, ...]
    buffer_mib: int
    promiscuous: bool
    program: str | None
    max_flows: int
    user: str | None
    count: int | None

    def check(self) -> None:
        """Refuses what cannot be meant, before anything is started.

        Raises:
            FlowscopeError: says what, and what to write instead.
        """
        if not self.interfaces and not self.captures:
            raise FlowscopeError(
                "nothing to watch: give -i IFACE, or - for a pipe (`flowscope doctor` lists interfaces)"
            )
        for option, values, keys in (("-b", self.ring, _RING), ("-a", self.until, _UNTIL)):
            for value in values:
                if not re.fullmatch(rf"({'|'.join(keys)}):[1-9]\d*", value):
                    raise FlowscopeError(f"{option} {value}: write one of {', '.join(f'{key}:NUMBER' for key in keys)}")
        if self.ring and not self.write:
            raise FlowscopeError("-b needs -w FILE: it says when to start the next file")
        if self.ring and self.captures:
            raise FlowscopeError("-b is about what -i captures; a pipe is written to one file")
        if self.filter and not self.interfaces:
            raise FlowscopeError("-f filters what -i captures; give it to the program behind the pipe")
        names = [*self.interfaces, *self.captures]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise FlowscopeError(f"{twice} is named twice")
        self._check_interfaces()
        for name in self.captures:
            _check_file(name)
        if self.write is not None:
            folder = os.path.dirname(self.write) or "."
            if not os.path.isdir(folder):
                raise FlowscopeError(f"{self.write}: there is no directory {folder} to write it to")
            if os.path.isdir(self.write):
                raise FlowscopeError(f"{self.write}: a directory; give -w a file name")
            for name in self.captures:
                if os.path.exists(self.write) and os.path.exists(name) and os.path.samefile(self.write, name):
                    raise FlowscopeError(f"{self.write}: is what is read; give -w another file name")

    def limit(self, key: str) -> float:
        """The number that ``-a`` gives for a key, infinite when it gives none."""
        given = [value.partition(":")[2] for value in self.until if value.startswith(f"{key}:")]
        return min(map(float, given), default=math.inf)

    def _check_interfaces(self) -> None:
        from flowscope.host.interfaces import interfaces

        there = interfaces()
        for name in self.interfaces:
            if name != "any" and name not in there:
                raise FlowscopeError(f"{name}: no such interface; there are {', '.join(sorted(there))} and any")

    def sources(self, folder: str, user: User | None) -> list[Source]:
        """The sources, not yet opened.

        Args:
            folder: for what is not kept.
            user: who capture programs run as.
        """
        from flowscope.capture.live import Wish, choose
        from flowscope.host.rights import with_capture_rights
        from flowscope.live.capturing import Interface
        from flowscope.live.sources import open_source

        found: list[Source] = []
        program = choose(self.program) if self.interfaces else ""
        prefix = with_capture_rights(user) if self.interfaces else []
        suffix = ".pcapng" if program == "dumpcap" else ".pcap"
        limit = SPOOL_BYTES if self.write is None else None
        for name, path in zip(self.interfaces, self._paths(self.interfaces, folder, suffix), strict=True):
            wish = Wish(name, self.filter, self.promiscuous, self.buffer_mib, self.count, self.ring)
            found.append(Interface(program, wish, path, limit, prefix))
        for name, path in zip(self.captures, self._paths(self.captures, folder, ".pcap"), strict=True):
            found.append(open_source(name, path, limit))
        return found

    def _paths(self, names: tuple[str, ...], folder: str, suffix: str) -> Iterator[str]:
        """The file of each source."""
        from flowscope.capture.suffixes import label

        several = len(self.interfaces) + len(self.captures) > 1
        for name in names:
            plain = re.sub(r"[^\w.@-]", "_", name if name in self.interfaces else label(name))
            if self.write is None:
                yield os.path.join(folder, plain + suffix)
            elif several:
                stem, extension = os.path.splitext(self.write)
                yield f"{stem}-{plain}{extension}"
            else:
                yield self.write


def _check_file(name: str) -> None:
    """Refuses a file that can never become a capture that is followed, instead of waiting for it."""
    from flowscope.capture.source import find_sources

    if name == "-" or not os.path.isfile(name) or os.path.getsize(name) < _TELLING_BYTES:
        return
    (source,) = find_sources([name])
    if source.error is not None:
        raise FlowscopeError(f"{name}: {source.error}")
    if source.kept_at is not None:
        raise FlowscopeError(f"{name}: {source.format}, which cannot be followed: use `flowscope analyze`")
