"""What `flowscope live` says while it runs: lines for people, JSON lines for programs, or nothing."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import polars as pl

from flowscope.cli.options import Request
from flowscope.cli.progress import tell
from flowscope.report import document
from flowscope.report.json import encoded, lines
from flowscope.report.rows import row_slices
from flowscope.report.safe_text import safe_line
from flowscope.report.times import clock, rfc3339_text

if TYPE_CHECKING:
    from flowscope.live.merging import Update
    from flowscope.live.reading import Notice
    from flowscope.live.watch import Turn, Watch

_STATUS_S = 10.0


class Show(AbstractContextManager["Show"]):
    """Says nothing but what must be said: notices, on stderr."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __enter__(self) -> Show:
        if not self._request.quiet:
            tell("watching; Ctrl-C stops and reports")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def turn(self, watch: Watch, turn: Turn) -> None:
        """Takes what one turn brought."""
        for notice in turn.notices:
            self.notice(notice)

    def notice(self, notice: Notice) -> None:
        """Something happened to the capture."""
        if not self._request.quiet:
            tell(notice.text)

    def changed(self, updates: list[Update]) -> None:
        """Findings that changed."""

    def stopping(self) -> None:
        """The capture is being ended."""
        if not self._request.quiet:
            tell("stopping; the report follows (Ctrl-C again ends at once)")


class Lines(Show):
    """A line per change of a finding, and one about the traffic now and then: on stderr, the report goes to stdout."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._told_at = time.monotonic()

    def turn(self, watch: Watch, turn: Turn) -> None:
        """Takes what one turn brought."""
        super().turn(watch, turn)
        if self._request.quiet:
            return
        self.changed(turn.updates)
        if time.monotonic() - self._told_at >= _STATUS_S:
            self._told_at = time.monotonic()
            tell(status_words(watch))

    def changed(self, updates: list[Update]) -> None:
        """A line for each."""
        if not self._request.quiet:
            for update in updates:
                tell(self._words(update))

    def _words(self, update: Update) -> str:
        finding = update.finding
        now = clock(time.time_ns(), self._request.look.utc, 1)
        since = f" (since {clock(update.since_ns, self._request.look.utc, 1)})" if update.change != "new" else ""
        count = f", {finding.count:,} times" if finding.count > 1 else ""
        head = f"{now} {update.change}: {finding.severity} {finding.verdict} {finding.rule}"
        return f"{head}: {safe_line(finding.title)}{count}{since}"


class JsonLines(Show):
    """Findings as they change and flows as they close, one JSON object per line, flushed; the report's lines follow.

    These lines carry ``live``: ``new``, ``updated``, ``withdrawn`` for findings, ``closed`` for flows. Numbers of flows
    are those of the run; the report at the end numbers them anew where there are several sources.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._closed: set[int] = set()

    def turn(self, watch: Watch, turn: Turn) -> None:
        """Takes what one turn brought."""
        super().turn(watch, turn)
        for notice in turn.notices:
            told = {"kind": notice.kind, "detail": notice.text, "source": notice.source}
            self._write({"type": "issue", "live": "new", "time": rfc3339_text(notice.time_ns), **told})
        self.changed(turn.updates)
        if turn.analysis is not None and turn.numbers is not None and not self._request.look.brief:
            self._flows(turn)

    def changed(self, updates: list[Update]) -> None:
        """A line for each."""
        for update in updates:
            content = document.finding_object(update.finding)
            told = {"live": update.change.value, "since": rfc3339_text(update.since_ns)}
            self._write({"type": "finding", **told, **content})

    def _flows(self, turn: Turn) -> None:
        assert turn.analysis is not None and turn.numbers is not None
        numbers = turn.numbers.to_list()
        closed = turn.analysis.flows.filter(~pl.col("open"))["flow"].to_list()
        fresh = {row: numbers[row] for row in closed if numbers[row] not in self._closed}
        if not fresh:
            return
        held = set(numbers)
        self._closed = {number for number in self._closed if number in held} | set(fresh.values())
        wanted = pl.Series(list(fresh), dtype=pl.UInt64)
        for rows in row_slices(turn.analysis, "flows"):
            found = rows.filter(pl.col("id").is_in(wanted.implode()))
            if found.height:
                core = pl.col("id").replace_strict(list(fresh), list(fresh.values()), return_dtype=pl.UInt64)
                head = [pl.lit("flow").alias("type"), pl.lit("closed").alias("live")]
                sys.stdout.buffer.write(lines(found.select(*head, pl.all()).with_columns(id=core)))
                sys.stdout.buffer.flush()

    def _write(self, content: dict[str, Any]) -> None:
        sys.stdout.buffer.write(encoded(content) + b"\n")
        sys.stdout.buffer.flush()


def show_for(request: Request) -> Show:
    """How this run shows itself."""
    if request.format == "jsonl" and request.output is None:
        return JsonLines(request)
    screen = request.format == "text" and sys.stdout.isatty() and not request.quiet
    if screen:
        from flowscope.cli.live_screen import Screen

        return Screen(request)
    return Lines(request)


def status_words(watch: Watch) -> str:
    """One line about the traffic."""
    status = watch.status
    words = [f"{status.frames:,} frames", f"{status.flows:,} flows held"]
    if status.dropped is not None:
        words.append(f"{status.dropped:,} lost")
    if status.behind_bytes > 1 << 20:
        words.append(f"{status.behind_bytes / 1e6:,.0f} MB behind")
    return ", ".join(words)
