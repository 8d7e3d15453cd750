"""Captures become tables: every source is fed to the core, ring by ring, and what was read is written down."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from flowscope.capture.core import new_engine
from flowscope.capture.rings import Ring, overlapping, plan_rings
from flowscope.capture.source import Source, find_sources
from flowscope.capture.spool import fully_kept, spooled
from flowscope.errors import CaptureError

if TYPE_CHECKING:
    from flowscope._core import CaptureSummary, Engine, IssueRow, Tables
    from flowscope.settings import Settings

Progress = Callable[[int, int | None], None]
"""Called with the bytes read so far and the bytes there are, None when that is unknown."""

log = logging.getLogger("flowscope")


@dataclass(frozen=True, slots=True)
class Capture:
    """One capture as it was read."""

    id: int
    """Number in the order given; the core's ``capture`` columns use it."""
    path: str
    """As the user named it."""
    sha256: str | None
    """Of the file as it lies on disk; None unless asked for."""
    format: str | None
    """``pcap`` or ``pcapng``; None when it could not be read as a capture."""
    compression: str | None
    """``gzip``, ``zstd``, ``xz``, ``lz4`` or None."""
    points: tuple[int, ...]
    """Numbers of the points whose frames it holds."""
    link_types: tuple[int, ...]
    frames: int
    bytes: int
    """Of the decompressed stream."""
    first_ns: int | None
    last_ns: int | None
    issues: tuple[IssueRow, ...]
    ring: str | None = None
    """Path or name that the files of its ring share; None when it stands alone."""
    bytes_at: str | None = None
    """File to read its bytes from again: itself, a copy of standard input, a conversion; None when there is none."""
    state: tuple[int, int] | None = None
    """Size (bytes) and time of change (ns) of that file when reading began."""
    only: Sequence[int] | None = None
    """Numbers of the frames that were analysed, when a display filter chose them."""
    converted_by: str | None = None
    """What made a pcapng of it, when flowscope does not read its format."""


def read_captures(
    paths: Sequence[str],
    settings: Settings,
    progress: Progress | None = None,
    stdin: BinaryIO | None = None,
) -> tuple[Tables, list[Capture]]:
    """Reads captures into the core's tables.

    A source that is no capture, beside others that are, becomes a :class:`Capture` without format whose issue says why,
    and a warning in the log of ``flowscope``.

    Args:
        paths: files, directories, ``-`` for standard input.
        settings: what to read of them.
        progress: told after every piece.
        stdin: read instead of the process's standard input.

    Returns:
        The tables, and the captures in the order given.

    Raises:
        CaptureError: nothing could be read.
    """
    sources = find_sources(paths, stdin)
    if all(source.error for source in sources):
        raise CaptureError(_nothing(sources))
    chosen = _chosen(sources, settings, stdin)
    apart: frozenset[str] = frozenset()
    while True:
        rings = plan_rings(
            [source.path for source in sources], [source.peek for source in sources], settings.points, apart
        )
        reading = _Reading(sources, rings, settings, progress, stdin, chosen)
        wrong = reading.run(retry=all(source.path != "-" for source in sources))
        if not wrong:
            break
        apart |= wrong
    captures = reading.captures()
    if not any(capture.format for capture in captures):
        raise CaptureError(_nothing(sources, [capture.issues for capture in captures]))
    return reading.tables, captures


class _Reading:
    """One pass over all sources."""

    tables: Tables

    def __init__(
        self,
        sources: list[Source],
        rings: list[Ring],
        settings: Settings,
        progress: Progress | None,
        stdin: BinaryIO | None,
        chosen: dict[int, Sequence[int]],
    ) -> None:
        self._chosen = chosen
        self._sources, self._rings, self._settings, self._stdin = sources, rings, settings, stdin
        self._progress = progress or (lambda done, total: None)
        sizes = [source.size for source in sources if not source.error]
        self._total = sum(size or 0 for size in sizes) if None not in sizes else None
        self._done = 0
        self._engine: Engine = new_engine(settings)
        self._summaries: list[CaptureSummary | None] = [None] * len(sources)
        self._problems: list[list[IssueRow]] = [[] for _ in sources]
        self._hashes: list[str | None] = [None] * len(sources)
        self._states: list[tuple[int, int] | None] = [None] * len(sources)

    def run(self, retry: bool) -> frozenset[str]:
        """Reads everything; stops early with the names of rings that are none when that can be mended."""
        ring_numbers = {at: number for number, ring in enumerate(self._rings) for at in ring.captures}
        for at in range(len(self._sources)):
            self._engine.open(ring_numbers[at])
            if at in self._chosen:
                self._engine.only(at, self._chosen[at])
        for ring in self._rings:
            for at in ring.captures:
                self._read(at)
            if retry and overlapping(ring, [_span(summary) for summary in self._summaries]):
                return frozenset({ring.name})
        self.tables = self._engine.finish()
        return frozenset()

    def _read(self, at: int) -> None:
        source = self._sources[at]
        digest = hashlib.sha256() if self._settings.hash else None
        if source.error:
            self._problem(at, "not-a-capture", source.error)
        else:
            wanted = True
            try:
                self._states[at] = file_state(source.bytes_at)
                for data in source.chunks(self._stdin):
                    wanted = wanted and self._engine.feed(at, data)
                    if digest is not None:
                        digest.update(data)
                    elif not wanted:
                        break
                    self._done += len(data)
                    self._progress(self._done, self._total)
                if digest is not None and source.kept_at is not None:
                    # Of the file as it lies on disk, not of what it was converted to.
                    with open(source.path, "rb") as file:
                        digest = hashlib.file_digest(file, "sha256")
                self._hashes[at] = digest.hexdigest() if digest else None
            except OSError as error:
                self._problem(at, "read-error", f"reading stopped: {error.strerror or error}")
        summary = self._summaries[at] = self._engine.close(at)
        if summary["format"] is None and not self._problems[at]:
            self._problem(at, "not-a-capture", f"no capture that flowscope reads: {summary['error'] or 'no bytes'}")

    def _problem(self, at: int, kind: str, detail: str) -> None:
        log.warning("%s: %s", self._sources[at].path, detail)
        self._problems[at].append({"kind": kind, "frame": 0, "offset": 0, "detail": detail, "count": 1})

    def captures(self) -> list[Capture]:
        """What was read, in the order given."""
        import polars as pl

        points = pl.DataFrame(self.tables.points)
        link_types = dict(zip(points["point"].to_list(), points["link_type"].to_list(), strict=True))
        shared = {at: ring.name for ring in self._rings if ring.given or len(ring.captures) > 1 for at in ring.captures}
        found = []
        for at, (source, summary) in enumerate(zip(self._sources, self._summaries, strict=True)):
            assert summary is not None
            format_known = summary["format"] is not None
            found.append(
                Capture(
                    id=at,
                    path=source.path,
                    sha256=self._hashes[at],
                    format=source.format or summary["format"],
                    compression=summary["compression"],
                    points=tuple(summary["points"]),
                    link_types=tuple(sorted({link_types[point] for point in summary["points"]})),
                    frames=summary["frames"],
                    bytes=summary["bytes"],
                    first_ns=summary["first_ns"],
                    last_ns=summary["last_ns"],
                    issues=(*(summary["issues"] if format_known else ()), *self._problems[at]),
                    ring=shared.get(at),
                    bytes_at=spooled(self._stdin) if source.path == "-" else source.bytes_at,
                    state=self._states[at],
                    only=self._chosen.get(at),
                    converted_by=source.converted_by,
                )
            )
        return found


def _chosen(sources: Sequence[Source], settings: Settings, stdin: BinaryIO | None) -> dict[int, Sequence[int]]:
    """Numbers of the frames to analyse, by position of their capture; empty without a display filter.

    Raises:
        FlowscopeError: the filter is wrong, or there is no tshark.
    """
    if settings.display_filter is None:
        return {}
    from flowscope.capture.wireshark import check_filter, matching

    check_filter(settings.display_filter)
    found: dict[int, Sequence[int]] = {}
    for at, source in enumerate(sources):
        path = fully_kept(stdin) if source.path == "-" else source.bytes_at
        if path is None:
            raise CaptureError("-Y needs the frames of standard input twice, and nobody keeps them: give a file")
        if not source.error:
            found[at] = matching(path, settings.display_filter)
    return found


def file_state(path: str | None) -> tuple[int, int] | None:
    """Size (bytes) and time of change (ns) of a regular file; None when it is none.

    Raises:
        OSError: it is gone, or cannot be looked at.
    """
    if path is None:
        return None
    status = os.stat(path)
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _span(summary: CaptureSummary | None) -> tuple[int, int] | None:
    if summary is None or summary["first_ns"] is None or summary["last_ns"] is None:
        return None
    return summary["first_ns"], summary["last_ns"]


def _nothing(sources: Sequence[Source], issues: Sequence[Sequence[IssueRow]] = ()) -> str:
    """One line that says why nothing could be read."""
    if not sources:
        return "no capture given: name files, directories or - for standard input"
    reasons = [source.error for source in sources]
    for at, rows in enumerate(issues):
        reasons[at] = reasons[at] or next((row["detail"] for row in rows), None)
    lines = [f"{source.path}: {reason}" for source, reason in zip(sources, reasons, strict=True)]
    more = f"; and {len(lines) - 3} more" if len(lines) > 3 else ""
    return f"{'' if len(lines) == 1 else 'no capture could be read: '}{'; '.join(lines[:3])}{more}"
