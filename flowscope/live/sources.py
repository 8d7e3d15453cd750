"""Where live bytes come from: a pipe, a file that someone else writes; capture programs are in :mod:`.capturing`.

A source is one observation point: its files are read one after the other, as a ring.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable

from flowscope.errors import FlowscopeError
from flowscope.live.growing import Growing
from flowscope.live.recorder import Recorder

Number = Callable[[], int]
"""Announces a capture to the engine and gives its number."""


class Source:
    """A file that grows, or one that does not: followed until someone says that it is enough."""

    own = False
    """We started what writes it, so that its clock is ours and its silence means something."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: list[Growing] = []
        self.ended = False
        """Nothing more will be written."""
        self.notices: list[tuple[str, str]] = []
        """Kind and text of what happened, to be told once."""
        self.dropped: int | None = None
        """Frames lost before they were written, None while nothing was said of it."""
        self.waited_ns: int | None = None
        """When our capture program last had nothing to do: it had written what it was handed before."""
        self.held_back_ns = 600_000_000
        """Nothing older is missing from the file while our program waits: the kernel hands dumpcap its packets after
        250 ms, or twice that when a block of its ring has just begun (packet(7), ``tp_retire_blk_tov``)."""

    def begin(self, number: Number) -> None:
        """Opens the source."""
        file = Growing(self.name, self.name, number())
        file.open()
        self.files.append(file)

    def look(self, number: Number) -> None:
        """Sees whether something happened; called often."""
        for file in self.files:
            if not file.closed and (what := file.missing()):
                self.tell("file-gone", f"{file.shown} {what}; what was read of it stays")

    def stop(self) -> None:
        """Asks the writer to end, and returns at once."""
        self.ended = True

    def kill(self) -> None:
        """Ends the writer now, when it is ours."""

    @property
    def program(self) -> str:
        """What writes, when we started it."""
        return ""

    def tell(self, kind: str, text: str) -> None:
        """Notes something that people should know."""
        self.notices.append((kind, text))


class Pipe(Source):
    """Standard input or a named pipe, recorded into a file while it is followed.

    Args:
        name: ``-`` or the path of a named pipe.
        path: the file to record into.
        limit_bytes: see :class:`flowscope.live.recorder.Recorder`.
    """

    def __init__(self, name: str, path: str, limit_bytes: int | None) -> None:
        super().__init__(name)
        self._path, self._limit = path, limit_bytes
        self._recorder: Recorder | None = None
        self._descriptor = -1

    def begin(self, number: Number) -> None:
        """Opens the pipe, without waiting for its writer. What it is recorded into must belong to who reads it, so that
        is opened by :meth:`look`."""
        stdin = self.name == "-"
        self._descriptor = os.dup(sys.stdin.fileno()) if stdin else os.open(self.name, os.O_RDONLY | os.O_NONBLOCK)

    def stop(self) -> None:
        """Stops recording."""
        if self._recorder is not None:
            self._recorder.stop()
        super().stop()

    def look(self, number: Number) -> None:
        """Starts to record the pipe, and sees whether it ended."""
        if self._recorder is None:
            self.record(number)
        super().look(number)
        if self._recorder is not None and not self._recorder.is_alive() and not self.ended:
            self.ended = True
            if self._recorder.error:
                self.tell("write-error", f"{self._path}: {self._recorder.error}: nothing after this was kept")
            else:
                self.tell("pipe-ended", f"{'standard input' if self.name == '-' else self.name} has ended")

    def record(self, number: Number) -> None:
        """Starts to record what was opened."""
        try:
            file = Growing(self._path, self._path if self._limit is None else self.name, number())
            self._recorder = Recorder(self._descriptor, file, self._limit)
        except OSError as error:
            self.ended = True
            self.tell("capture-ended", f"{self._path}: cannot be written: {(error.strerror or str(error)).lower()}")
            return
        self.files.append(file)
        self._recorder.start()


def open_source(name: str, path: str, limit_bytes: int | None) -> Source:
    """The source for a CAPTURE argument: ``-``, a named pipe, or a file that grows.

    Raises:
        FlowscopeError: there is no such file.
    """
    if name == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise FlowscopeError("- (standard input) is no pipe: pipe a capture into flowscope, or use -i IFACE")
        return Pipe(name, path, limit_bytes)
    try:
        mode = os.stat(name).st_mode
    except OSError as error:
        raise FlowscopeError(f"{name}: {(error.strerror or str(error)).lower()}") from None
    if stat.S_ISDIR(mode):
        raise FlowscopeError(f"{name}: a directory; name the file that grows, or use `flowscope analyze`")
    return Source(name) if stat.S_ISREG(mode) else Pipe(name, path, limit_bytes)
