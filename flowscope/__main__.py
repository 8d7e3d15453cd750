"""``python -m flowscope`` and the ``flowscope`` command."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    _standard_streams()
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        # Not where someone asked to ignore it, as nohup does.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _ended)
    try:
        from flowscope.cli import run
    except KeyboardInterrupt:
        # Ctrl-C before there is anything that could say so better.
        sys.exit(130)
    sys.exit(run())


def _ended(number: int, frame: FrameType | None) -> None:
    """Leaves as told, and takes along temporary files and capture programs."""
    sys.exit(128 + number)


def _standard_streams() -> None:
    """Stands in for streams that the caller closed, or the first file that is opened would get their number.

    What is written to stdout fails then, as it should; what is told on stderr is lost.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        descriptor = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
        if descriptor != number:
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.set_inheritable(number, True)
        if number:
            stream = os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
            setattr(sys, name, stream)


if __name__ == "__main__":
    main()
