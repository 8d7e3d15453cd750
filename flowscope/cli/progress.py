"""What a run says on stderr: warnings, one line each, and a progress bar when a person is looking."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowscope.report.safe_text import safe_line

if TYPE_CHECKING:
    from flowscope.capture.file import Progress


told: set[str] = set()
"""What the run has told so far: an error that repeats a warning is not told twice."""


def tell(message: str) -> None:
    """One line on stderr, safe for a terminal."""
    told.add(message)
    print(f"flowscope: {safe_line(message)}", file=sys.stderr, flush=True)


class _Teller(logging.Handler):
    """Sends log records of flowscope to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(record.getMessage())


def listen(quiet: bool, verbose: int) -> None:
    """Lets flowscope's warnings reach stderr: fewer with ``-q``, more with ``-v``, everything with ``-vv``."""
    log = logging.getLogger("flowscope")
    log.setLevel(logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    log.propagate = False
    if not any(isinstance(handler, _Teller) for handler in log.handlers):
        log.addHandler(_Teller())


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress | None]:
    """A progress bar while captures are read, fed with bytes; None when stderr is no terminal."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def advance(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
