"""What the kernel translates while we watch: it decides between candidates for a join, and contradicts wrong ones."""

from __future__ import annotations

import queue
import shutil
import subprocess
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress

import polars as pl

from flowscope.analysis import Analysis
from flowscope.host.conntrack import Pair, Translation, contradicted, parse, read_table
from flowscope.nat.tracked import TRANSLATIONS

#: The newest are kept; a window of live traffic holds fewer connections.
_MOST = 200_000


class Tracked:
    """Follows the kernel's connection tracking in this network namespace, where it may be read.

    Args:
        prefix: what starts a program with few rights (:func:`flowscope.host.rights.with_capture_rights`).
    """

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._prefix = prefix
        self._news: queue.SimpleQueue[Translation] = queue.SimpleQueue()
        self._table = pl.DataFrame(schema=TRANSLATIONS)
        self._process: subprocess.Popen[str] | None = None

    def begin(self) -> None:
        """Reads the table and follows what is new; does nothing where that is not possible."""
        try:
            self._take(read_table())
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

    @property
    def table(self) -> pl.DataFrame:
        """The translations so far, columns as in :data:`flowscope.nat.tracked.TRANSLATIONS`."""
        news = []
        with suppress(queue.Empty):
            while True:
                news.append(self._news.get_nowait())
        if news:
            rows = [(one.before[0], *one.before[1], *one.before[2], *one.after[1], *one.after[2]) for one in news]
            fresh = pl.DataFrame(rows, schema=TRANSLATIONS, orient="row")
            self._table = pl.concat([self._table, fresh]).tail(_MOST).rechunk()
        return self._table

    def check(self, analysis: Analysis) -> tuple[int, list[str]]:
        """How many of the joins the kernel confirms, and one sentence for each that it contradicts."""
        after: dict[Pair, set[Pair]] = {}
        for protocol, *words in self.table.iter_rows():
            src, sport, dst, dport, src_b, sport_b, dst_b, dport_b = words
            before = (protocol, (src, sport), (dst, dport))
            after.setdefault(before, set()).add((protocol, (src_b, sport_b), (dst_b, dport_b)))
        confirmed, wrong = contradicted(after, _joins(analysis))
        return confirmed, [
            f"conntrack contradicts a join: {_text(first)} was translated to {_text(became)}, not joined to it but to "
            f"{_text(last)}: please report this"
            for first, last, became in wrong[:10]
        ]

    def _listen(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            self._take(parse(line))

    def _take(self, found: Iterable[Translation]) -> None:
        for one in found:
            if one.translated:
                self._news.put(one)


def _joins(analysis: Analysis) -> list[tuple[Pair, list[Pair]]]:
    """The first leg of every path that was joined, and those that follow it: another translator may stand behind."""
    texts = analysis.addresses["text"].to_list()
    legs = {
        row["leg"]: (row["protocol"], (texts[row["src"]], row["src_port"]), (texts[row["dst"]], row["dst_port"]))
        for row in analysis.legs.select("leg", "protocol", "src", "src_port", "dst", "dst_port").iter_rows(named=True)
    }
    joined = analysis.paths.filter(pl.col("legs").list.len() > 1)["legs"]
    return [(legs[several[0]], [legs[one] for one in several[1:]]) for several in joined.to_list()]


def _text(pair: Pair) -> str:
    _, (source, sport), (destination, dport) = pair
    return f"{source}:{sport} to {destination}:{dport}"
