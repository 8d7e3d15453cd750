"""Copies a pipe into a file, so that a pipe is followed, kept and read again like any other capture."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import termios
import threading
import time

from flowscope.live.growing import Growing

_PIECE = 1 << 18


class Recorder(threading.Thread):
    """Reads a pipe to its end, in a thread of its own: the program behind it must never have to wait.

    Args:
        pipe: open for reading, blocking or not; closed at its end.
        file: the file to write; an old one is replaced.
        limit_bytes: the file starts again from nothing at this length, once it was read; None to keep it whole.
    """

    def __init__(self, pipe: int, file: Growing, limit_bytes: int | None = None) -> None:
        super().__init__(name=f"recorder of {os.path.basename(file.path)}", daemon=True)
        self.error: str | None = None
        """Why the file could not be written any further."""
        self.full = False
        """That was because the disk is."""
        self._pipe, self._growing, self._limit = pipe, file, limit_bytes
        self._written = 0
        self._enough = self._busy = False
        self._file = os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), 0o600)

    def stop(self) -> None:
        """Writes nothing more: the file is about to be read as a whole."""
        self._enough = True

    @property
    def drained(self) -> bool:
        """The pipe is empty, and all that came through it is in the file."""
        if not self.is_alive():
            return True
        try:
            waiting = fcntl.ioctl(self._pipe, termios.FIONREAD, bytes(4))
        except OSError:
            return False
        # Looked at last: what was taken out of the pipe before is written by now.
        return not any(waiting) and not self._busy

    def run(self) -> None:
        """Copies until the pipe ends or nothing can be written any more."""
        try:
            os.set_blocking(self._pipe, True)
            while (data := self._next()) and not self._enough:
                view = memoryview(data)
                while view:
                    count = os.write(self._file, view)
                    self._written += count
                    view = view[count:]
                if self._limit is not None and self._written >= self._limit:
                    self._start_again()
                self._busy = False
        except OSError as error:
            self.error, self.full = (error.strerror or str(error)).lower(), error.errno == errno.ENOSPC
        finally:
            os.close(self._file)
            os.close(self._pipe)

    def _next(self) -> bytes:
        """The next bytes, empty at the end. A named pipe seems to be at its end until its first writer: that is waited
        for."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN | select.POLLHUP)
        poll.poll()
        self._busy = True
        return os.read(self._pipe, _PIECE)

    def _start_again(self) -> None:
        while self._growing.offset < self._written:
            time.sleep(0.005)
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._written = 0
        self._growing.rewind()
