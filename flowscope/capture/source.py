"""Where captured bytes come from: named files, the files of a directory, standard input.

Every source is read in pieces of 1 MiB. What a file is shows in its bytes, never in its name.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import select
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from flowscope.capture.core import new_engine
from flowscope.capture.rings import Peek
from flowscope.errors import CaptureError
from flowscope.settings import Settings

CHUNK = 1 << 20
_PEEK_CHUNK = 1 << 16

log = logging.getLogger("flowscope")


@dataclass(frozen=True, slots=True)
class Source:
    """One input, in the order given.

    Attributes:
        path: as the user named it (a file of a directory: the directory's name and its own); ``-`` for standard input.
        size: bytes on disk, None when they cannot be known.
        peek: what its first frame says; None when it can be read only once.
        error: why it cannot be opened.
        kept_at: file with its frames as pcapng, when they had to be converted.
        format: what Wireshark calls its format, when it was converted.
        converted_by: the program that converted it.
    """

    path: str
    size: int | None = None
    peek: Peek | None = None
    error: str | None = None
    kept_at: str | None = None
    format: str | None = None
    converted_by: str | None = None

    @property
    def bytes_at(self) -> str | None:
        """The file that is read; None for standard input."""
        return None if self.path == "-" else self.kept_at or self.path

    def chunks(self, stdin: BinaryIO | None = None) -> Iterator[bytes]:
        """The bytes of the source, piece by piece.

        Raises:
            OSError: it cannot be read (any further).
        """
        if self.path == "-" and stdin is not None:
            while data := stdin.read(CHUNK):
                yield data
            return
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = sys.stdin.fileno() if self.path == "-" else os.open(self.bytes_at or "", flags)
        try:
            patient = self.size is None and hasattr(select, "poll")
            while True:
                if patient:
                    _wait(descriptor)
                if not (data := os.read(descriptor, CHUNK)):
                    break
                yield data
        finally:
            if self.path != "-":
                os.close(descriptor)


def _wait(descriptor: int) -> None:
    """Waits for bytes of a pipe in a way that Ctrl-C ends; Polars lets the system restart an interrupted read."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll()


def find_sources(paths: Sequence[str], stdin: BinaryIO | None = None) -> list[Source]:
    """The inputs that the arguments of a command name.

    A directory stands for its captures, by name; its other files are skipped and counted. A file that cannot be opened
    or is no capture stays in the list with its ``error``, to be reported. A file named twice is read once.

    Raises:
        CaptureError: standard input is named twice, or is a terminal.
    """
    sources: list[Source] = []
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if path == "-":
            if any(source.path == "-" for source in sources):
                raise CaptureError("- (standard input) is named twice: it can be read once")
            # Python has no sys.stdin when it was closed.
            if stdin is None and (sys.stdin is None or sys.stdin.isatty()):
                raise CaptureError("- (standard input) is no pipe: pipe a capture into flowscope, or name a file")
            sources.append(Source("-"))
        elif os.path.isdir(path):
            sources += _in_directory(path, seen)
        else:
            sources += _file(path, seen)
    return sources


def _in_directory(folder: str, seen: set[tuple[int, int]]) -> list[Source]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        return [Source(folder, error=_reason(error))]
    found: list[Source] = []
    skipped: list[str] = []
    for name in names:
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            continue
        for source in _file(path, seen, listed=True):
            if source.error is None:
                found.append(source)
            else:
                skipped.append(name)
    for name in skipped:
        log.info("%s: skipped, no capture", os.path.join(folder, name))
    others = f"{len(skipped)} other file{'s' * (len(skipped) != 1)}"
    if not found:
        return [Source(folder, error=f"a directory without captures ({others})")]
    if skipped:
        log.warning("%s: %s skipped (-v names them)", folder, others)
    return found


def _file(path: str, seen: set[tuple[int, int]], listed: bool = False) -> list[Source]:
    """The source of one file; of those a directory lists, only what begins like a capture is converted."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return [Source(path)]
        identity = (status.st_dev, status.st_ino)
        # Some file systems have no inode numbers.
        if status.st_ino and identity in seen:
            log.warning("%s: named twice, read once", path)
            return []
        seen.add(identity)
        if status.st_size == 0:
            return [Source(path, 0, error="an empty file, no capture")]
        peek = _peek(path)
    except (OSError, ValueError) as error:
        return [Source(path, error=_reason(error))]
    if peek.format is None:
        foreign = "editcap" in (peek.error or "")
        if foreign or not listed:
            return [
                _converted(path, status.st_size) or Source(path, status.st_size, peek, _no_capture(path, peek.error))
            ]
        return [Source(path, status.st_size, peek, _no_capture(path, peek.error))]
    return [Source(path, status.st_size, peek)]


def _converted(path: str, size: int) -> Source | None:
    """A capture in a format that Wireshark reads, as pcapng; None when it is none, or Wireshark is not installed."""
    from flowscope.capture.wireshark import convert

    found = convert(path, _folder())
    if found is None:
        return None
    kept, kind, by = found
    peek = _peek(kept)
    if peek.format is None:
        return None
    log.info("%s: %s, converted by %s", path, kind, by)
    return Source(path, size, peek, None, kept, kind, by)


@functools.cache
def _folder() -> str:
    """Where converted captures are until the program ends."""
    folder = tempfile.TemporaryDirectory(prefix="flowscope-converted-")
    atexit.register(folder.cleanup)
    return folder.name


def _peek(path: str) -> Peek:
    """Format, link type and time of the first frame, by a core that stops there."""
    import polars as pl

    engine = new_engine(Settings(max_frames=1))
    capture = engine.open(0)
    with open(path, "rb", buffering=0) as file:
        while (data := file.read(_PEEK_CHUNK)) and engine.feed(capture, data):
            pass
    summary = engine.close(capture)
    points = pl.DataFrame(engine.finish().points)
    link_types = tuple(sorted(set(points["link_type"].to_list())))
    return Peek(summary["format"], link_types, summary["first_ns"], summary["error"])


def _no_capture(path: str, error: str | None) -> str:
    with open(path, "rb") as file:
        start = file.read(512)
    if not start.translate(None, bytes(range(0x20, 0x7F)) + b"\t\r\n"):
        return "a text file, no capture: flowscope reads pcap and pcapng, plain or compressed"
    return f"no capture that flowscope reads: {error or 'unknown format'}"


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file or directory"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return "not a file name"
