"""What sources write is fed to the core; what is known of each capture, and until when each point is known."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from flowscope.capture.file import Capture
from flowscope.live.growing import Growing
from flowscope.live.quiet import Quiet
from flowscope.live.sources import Pipe, Source
from flowscope.report.times import rfc3339_text

if TYPE_CHECKING:
    from flowscope._core import CaptureSummary, Engine, IssueRow

#: A turn ends after this long, so that screen and keys stay alive while there is much to read.
_TURN_S = 0.4
_NOT_FOR_THE_REPORT = ("pipe-ended", "file-gone")


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to the capture itself."""

    kind: str
    text: str
    time_ns: int
    source: str | None = None
    """The source it is about."""


class Reading:
    """Reads sources into an engine, each a ring of its own.

    Args:
        sources: opened by :meth:`begin`.
        engine: what they are fed to.
    """

    def __init__(self, sources: Sequence[Source], engine: Engine) -> None:
        self.sources = list(sources)
        self.files: list[tuple[Source, Growing]] = []
        """As they were met."""
        self.news = False
        """Something was read since the last look."""
        self.heard_at = time.monotonic()
        self._engine = engine
        self._summaries: dict[int, CaptureSummary] = {}
        self._pipes: dict[int, Quiet] = {}
        """By source."""

    def begin(self) -> None:
        """Opens every source."""
        for ring, source in enumerate(self.sources):
            source.begin(lambda ring=ring: self._engine.open(ring))  # type: ignore[misc]

    @property
    def ended(self) -> bool:
        """No source will bring anything more, and all was read."""
        return all(source.ended for source in self.sources) and all(file.closed for _, file in self.files)

    def turn(self, notices: list[Notice]) -> bool:
        """Reads what there is, for half a second at most; true when all that was written at the start was read.

        Args:
            notices: gets what happened to the sources.
        """
        until = time.monotonic() + _TURN_S
        caught_up = True
        for ring, source in enumerate(self.sources):
            source.look(lambda ring=ring: self._engine.open(ring))  # type: ignore[misc]
            ended = source.ended
            known = {id(file) for _, file in self.files}
            self.files += [(source, file) for file in source.files if id(file) not in known]
            for at, file in enumerate(source.files):
                if file.closed:
                    continue
                size = file.size
                over = self._feed(source, file, size, until)
                caught_up = caught_up and file.offset >= size
                if isinstance(source, Pipe) and not source.own:
                    last_ns = self._engine.summary(file.number)["last_ns"]
                    self._pipes.setdefault(ring, Quiet()).heard(last_ns, time.monotonic_ns())
                if over and (ended or at + 1 < len(source.files)):
                    self._summaries[file.number] = self._engine.close(file.number)
                    file.close()
            for kind, text in source.notices:
                notices.append(Notice(kind, text, time.time_ns(), source.name))
            source.notices.clear()
        return caught_up

    def _feed(self, source: Source, file: Growing, size: int, until: float) -> bool:
        """Reads one file up to a size; true when there is nothing more."""
        while True:
            try:
                data = file.read()
            except OSError as error:
                source.tell("read-error", f"{file.shown}: reading stopped: {(error.strerror or str(error)).lower()}")
                return True
            if not data:
                return True
            self.news, self.heard_at = True, time.monotonic()
            self._engine.feed(file.number, data)
            if file.offset >= size or time.monotonic() > until:
                return False

    # Until when each point is known, when everything that was written has been read -----------------------------

    def captured_until_ns(self, points: pl.DataFrame) -> dict[int, int]:
        """Points of programs that we started: that nothing came is known until a moment ago."""
        until: dict[int, int] = {}
        for ring, source in enumerate(self.sources):
            if source.own and not source.ended and source.waited_ns is not None:
                until |= dict.fromkeys(_of_ring(points, ring), source.waited_ns - source.held_back_ns)
        return until

    def quiet_until_ns(self, points: pl.DataFrame) -> dict[int, int]:
        """Points of pipes that bring nothing: their own clock has gone on."""
        until: dict[int, int] = {}
        for ring, pipe in self._pipes.items():
            source = self.sources[ring]
            if source.ended:
                continue
            summary = self._engine.summary(source.files[-1].number)
            if summary["within_record"] or summary["compression"]:
                continue
            if (until_ns := pipe.until_ns(time.monotonic_ns())) is not None:
                until |= dict.fromkeys(_of_ring(points, ring), until_ns)
        return until

    # What is known of the captures ------------------------------------------------------------------------------

    def summary(self, file: Growing) -> CaptureSummary:
        """What a capture has turned out to be so far."""
        return self._summaries.get(file.number) or self._engine.summary(file.number)

    def captures(self, points: pl.DataFrame, notices: Sequence[Notice]) -> list[Capture]:
        """What was read so far, by number.

        Args:
            points: the core's point table.
            notices: what happened so far.
        """
        link_types = dict(points.select("point", "link_type").iter_rows()) if points.height else {}
        several = {id(source) for source in self.sources if len(source.files) > 1}
        found = []
        for source, file in sorted(self.files, key=lambda one: one[1].number):
            summary = self.summary(file)
            found.append(
                Capture(
                    id=file.number,
                    path=file.shown,
                    sha256=None,
                    format=summary["format"],
                    compression=summary["compression"],
                    points=tuple(summary["points"]),
                    link_types=tuple(sorted({link_types[one] for one in summary["points"] if one in link_types})),
                    frames=summary["frames"],
                    bytes=summary["bytes"],
                    first_ns=summary["first_ns"],
                    last_ns=summary["last_ns"],
                    issues=(*summary["issues"], *self.issues(source, file, notices)),
                    ring=source.name if id(source) in several else None,
                )
            )
        return found

    def issues(self, source: Source, file: Growing, notices: Sequence[Notice]) -> list[IssueRow]:
        """What happened to a capture while it was made, for the report."""
        rows: list[IssueRow] = []
        if file.gone:
            text = "the file was overwritten or taken away; its frames cannot be read again"
            if not self.summary(file)["frames"]:
                text = "the file was overwritten or taken away before it was analysed"
            rows.append({"kind": "overwritten", "frame": 0, "offset": 0, "detail": text, "count": 1})
        if file is source.files[-1]:
            for notice in notices:
                if notice.source == source.name and notice.kind not in _NOT_FOR_THE_REPORT:
                    text = f"{rfc3339_text(notice.time_ns)}: {notice.text}"
                    rows.append({"kind": notice.kind, "frame": 0, "offset": 0, "detail": text, "count": 1})
        if source.dropped and file is source.files[-1]:
            text = f"{source.dropped} frames were lost at {source.name} while capturing"
            rows.append({"kind": "dropped-frames", "frame": 0, "offset": 0, "detail": text, "count": source.dropped})
        return rows


def _of_ring(points: pl.DataFrame, ring: int) -> list[int]:
    """The points of a source."""
    return points.filter(pl.col("ring") == ring)["point"].to_list()
