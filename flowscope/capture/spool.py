"""Standard input, kept on disk while it is read, for the commands that need its frames again."""

from __future__ import annotations

import os
import select
import sys
import tempfile
from types import TracebackType
from typing import BinaryIO, cast

_CHUNK = 1 << 20


class Spool:
    """Reads a pipe once and keeps its bytes in a file without a name that others could read.

    Use it as a context manager, and its :attr:`stream` as the ``stdin`` of ``analyze``; the file goes with it.
    """

    def __init__(self, source: BinaryIO | None = None) -> None:
        self._source = source
        descriptor, self.path = tempfile.mkstemp(prefix="flowscope-stdin-")
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115
        self._again: BinaryIO | None = None

    @property
    def stream(self) -> BinaryIO:
        """What is read instead of the pipe; only ``read`` is there."""
        return cast(BinaryIO, self)

    def keep(self) -> str:
        """Reads the pipe to its end; what is read afterwards comes from the file, which is returned.

        Raises:
            OSError: the pipe cannot be read, or the disk is full.
        """
        while self.read(_CHUNK):
            pass
        self._source = self._again = open(self.path, "rb")  # noqa: SIM115
        return self.path

    def read(self, size: int) -> bytes:
        """The next bytes of the pipe, at most ``size``; empty at its end.

        Raises:
            OSError: the pipe cannot be read, or the disk is full.
        """
        if self._source is not None:
            data = self._source.read(size)
        else:
            if hasattr(select, "poll"):
                # Ctrl-C ends a poll, while Polars lets the system restart an interrupted read.
                poll = select.poll()
                poll.register(sys.stdin.fileno(), select.POLLIN)
                poll.poll()
            data = os.read(sys.stdin.fileno(), size)
        if self._again is None:
            self._file.write(data)
        return data

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._again is not None:
            self._again.close()
        os.unlink(self.path)


def spooled(stdin: BinaryIO | None) -> str | None:
    """The file that keeps the bytes of standard input, None when nobody keeps them."""
    return stdin.path if isinstance(stdin, Spool) else None


def fully_kept(stdin: BinaryIO | None) -> str | None:
    """The file with all bytes of standard input, which is read to its end; None when nobody keeps them."""
    return stdin.keep() if isinstance(stdin, Spool) else None
