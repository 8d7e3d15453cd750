"""Where results go: stdout, or a file that is there whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from flowscope.errors import FlowscopeError

#: What a write says when there is no room, or nobody to write to.
_NOT_WRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF}


def check_output(output: str | None, inputs: Iterable[str], option: str = "-o") -> None:
    """Refuses an output file that cannot be written, or that is one of the inputs: captures are evidence.

    Args:
        output: the file to write; None for stdout.
        inputs: captures and other files that are read.
        option: names the output on the command line.

    Raises:
        FlowscopeError: says which, and what to give instead.
    """
    if output is None:
        return
    folder = os.path.dirname(output) or "."
    if not os.path.isdir(folder):
        raise FlowscopeError(f"{output}: there is no directory {folder} to write it to")
    if os.path.isdir(output):
        raise FlowscopeError(f"{output}: a directory; give {option} a file name")
    for path in inputs:
        with suppress(OSError):
            if os.path.samefile(output, path) and stat.S_ISREG(os.stat(path).st_mode):
                raise FlowscopeError(f"{output}: is one of the inputs ({path}); give {option} another file name")


@contextmanager
def opened(output: str | None) -> Iterator[BinaryIO]:
    """A stream for the result.

    A file is written beside its place and put there at the end, so that an old one stays until the new one is complete.
    """
    if output is None:
        with written_to("standard output"):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    target = os.path.realpath(output)
    with written_to(output):
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb") as special:
                yield special
            return
        with _whole(target, output) as file:
            yield file


@contextmanager
def written_to(place: str) -> Iterator[None]:
    """Tells a full disk with the place that was to be written: the system names none."""
    try:
        yield
    except OSError as error:
        if error.errno in _NOT_WRITTEN and error.filename is None:
            error.filename = place
        raise


@contextmanager
def wanted() -> Iterator[None]:
    """What is written within may find no reader any more, as after ``head``; what comes after it goes on."""
    try:
        yield
    except BrokenPipeError:
        reader_gone()


def reader_gone() -> None:
    """Nobody reads stdout any more; Python flushes it once more at exit and must not fail then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def settle_stdout() -> None:
    """Writes what is left for stdout, or drops it where it cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        reader_gone()


@contextmanager
def _whole(target: str, output: str) -> Iterator[BinaryIO]:
    """A file that takes its place when it is complete.

    Args:
        target: the file to make or replace.
        output: its name as people gave it.
    """
    try:
        folder, name = os.path.split(target)
        descriptor, partial = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
    except OSError as error:
        error.filename = output
        raise
    try:
        with open(descriptor, "wb") as file:
            yield file
        os.chmod(partial, _mode(target))
        os.replace(partial, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


def _mode(target: str) -> int:
    """Access rights of the file that is replaced, else those of a new file."""
    with suppress(OSError):
        return stat.S_IMODE(os.stat(target).st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
