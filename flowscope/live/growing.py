"""A capture file that is still being written, read as it grows."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

CHUNK = 1 << 20


class Growing:
    """One file that another program writes, and how far it was read.

    Args:
        path: the file.
        shown: what people call it.
        number: of the capture in the engine.
    """

    def __init__(self, path: str, shown: str, number: int) -> None:
        self.path, self.shown, self.number = path, shown, number
        self.offset = 0
        self.gone = False
        """It was overwritten, deleted or moved away: the frames cannot be read a second time."""
        self.closed = False
        self._descriptor: int | None = None
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes on disk, as far as they can be read."""
        try:
            if self._descriptor is not None:
                return os.fstat(self._descriptor).st_size
            return os.stat(self.path).st_size
        except OSError:
            return self.offset

    def open(self) -> None:
        """Opens the file, which :meth:`read` does otherwise: for one that can be opened with the rights of now only.

        Raises:
            OSError: it cannot be read.
        """
        self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def read(self) -> bytes:
        """The next bytes, at most 1 MiB; empty when there are none yet.

        Raises:
            OSError: it cannot be read.
        """
        if self._descriptor is None:
            try:
                self.open()
            except FileNotFoundError:
                return b""
        assert self._descriptor is not None
        with self._lock:
            data = os.pread(self._descriptor, CHUNK, self.offset)
            self.offset += len(data)
        return data

    def rewind(self) -> None:
        """The file starts again from nothing: what was read of it is not there any more."""
        with self._lock:
            self.offset, self.gone = 0, True

    def missing(self) -> str | None:
        """What became of the file behind our back, None while it is in its place."""
        if self._descriptor is None or self.gone:
            return None
        ours = os.fstat(self._descriptor)
        what = None
        if ours.st_size < self.offset:
            what = f"was cut from {self.offset:,} to {ours.st_size:,} bytes while it was read"
        else:
            try:
                there = os.stat(self.path)
                if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
                    what = "was moved away, and another file has its name"
            except FileNotFoundError:
                what = "was deleted or moved away"
            except OSError as error:
                what = f"cannot be found any more ({(error.strerror or str(error)).lower()})"
        if what is not None:
            self.gone = True
        return what

    def close(self) -> None:
        """Lets go of the file."""
        self.closed = True
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
