"""What the kernel translated while we watched: joins of legs are checked against it."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress

import polars as pl

from flowscope.analysis import Analysis
from flowscope.host.conntrack import Pair, contradicted, parse, read_table


class Tracked:
    """Follows the kernel's connection tracking in this network namespace, where it may be read.

    Args:
        prefix: what starts a program with few rights (:func:`flowscope.host.rights.with_capture_rights`).
    """

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._prefix = prefix
        self._after: dict[Pair, set[Pair]] = {}
        self._process: subprocess.Popen[str] | None = None

    def begin(self) -> None:
        """Reads the table and follows what is new; does nothing where that is not possible."""
        try:
            for one in read_table():
                self._after.setdefault(one.before, set()).add(one.after)
        except (OSError, subprocess.SubprocessError):
            return
        if shutil.which("conntrack") is None:
            return
        with suppress(OSError):
            self._process = subprocess.Popen(
                [*self._prefix, "conntrack", "-E", "-e", "NEW"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            threading.Thread(target=self._listen, name="words of conntrack", daemon=True).start()

    def end(self) -> None:
        """Stops following."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2)

    def check(self, analysis: Analysis) -> tuple[int, list[str]]:
        """How many of the joins the kernel confirms, and one sentence for each that it contradicts."""
        if not any(pair not in after for pair, after in self._after.items()):
            return 0, []
        confirmed, wrong = contradicted(self._after, _joins(analysis))
        return confirmed, [
            f"conntrack contradicts a join: {_text(first)} was translated to {_text(after)}, not joined to it but to "
            f"{_text(last)}: please report this"
            for first, last, after in wrong[:10]
        ]

    def _listen(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            for one in parse(line):
                self._after.setdefault(one.before, set()).add(one.after)


def _joins(analysis: Analysis) -> list[tuple[Pair, Pair]]:
    """First and last leg of every path that was joined."""
    texts = analysis.addresses["text"].to_list()
    legs = {
        row["leg"]: (row["protocol"], (texts[row["src"]], row["src_port"]), (texts[row["dst"]], row["dst_port"]))
        for row in analysis.legs.select("leg", "protocol", "src", "src_port", "dst", "dst_port").iter_rows(named=True)
    }
    joined = analysis.paths.filter(pl.col("legs").list.len() > 1)["legs"]
    return [(legs[several[0]], legs[several[-1]]) for several in joined.to_list()]


def _text(pair: Pair) -> str:
    _, (source, sport), (destination, dport) = pair
    return f"{source}:{sport} to {destination}:{dport}"
