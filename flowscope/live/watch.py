"""Live traffic through the river: read what was written, judge the window, say what changed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from flowscope.analysis import Analysis, Frames, Given, follow
from flowscope.capture.core import new_engine
from flowscope.capture.file import Capture
from flowscope.capture.rings import point_name
from flowscope.findings import Finding
from flowscope.live.aging import Limits, leaving
from flowscope.live.growing import Growing
from flowscope.live.held import Held
from flowscope.live.local import Local
from flowscope.live.merging import Merging, Update
from flowscope.live.quiet import Quiet, doubted
from flowscope.live.sources import Pipe, Source
from flowscope.live.tracked import Tracked
from flowscope.report.times import rfc3339_text
from flowscope.settings import Settings

if TYPE_CHECKING:
    from flowscope._core import CaptureSummary, IssueRow

SECOND = 1_000_000_000
_HALF_A_SECOND = 0.5
_QUIET_S = 2.0
#: What a capture program may hold back: nothing older is missing from its file (dumpcap writes several times a second).
_HELD_BACK_NS = SECOND
#: A turn ends after this long, so that screen and keys stay alive while there is much to read.
_TURN_S = 0.4
#: A window that is never read up to is judged all the same after this long.
_IMPATIENT_S = 4.0
#: A look that takes longer makes findings late: the window shrinks.
_LATE_S = 0.8
_NOT_FOR_THE_REPORT = ("pipe-ended", "file-gone")


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to the capture itself."""

    kind: str
    text: str
    time_ns: int
    source: str | None = None
    """The source it is about."""


@dataclass(slots=True)
class Turn:
    """What one turn brought."""

    updates: list[Update] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    analysis: Analysis | None = None
    """The window, when it was judged."""
    numbers: pl.Series | None = None
    """The core's numbers of its flows."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where things stand."""

    frames: int
    bytes: int
    behind_bytes: int
    """Written and not read yet."""
    dropped: int | None
    """Frames lost before they were written; None when no program said."""
    flows: int
    """Held."""
    started_ns: int
    files: int


class Watch:
    """One run of live analysis.

    Args:
        sources: opened by :meth:`begin`, each one observation point.
        settings: options of the run.
        given: what is known besides.
        limits: of the window.
        local: what this machine says of findings about itself, when its own traffic is watched.
        tracked: what its kernel translates.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        settings: Settings,
        given: Given,
        limits: Limits | None = None,
        local: Local | None = None,
        tracked: Tracked | None = None,
    ) -> None:
        self.local, self.tracked = local, tracked
        self.sources, self._given = list(sources), given
        self._settings, self.limits = settings, limits or Limits()
        self._engine = new_engine(settings)
        self._held, self.merging = Held(), Merging()
        self._files: list[tuple[Source, Growing]] = []
        self._summaries: dict[int, CaptureSummary] = {}
        self.notices: list[Notice] = []
        self.started_ns = time.time_ns()
        self._judged_at = time.monotonic()
        self._wait_s = _HALF_A_SECOND
        self._news = False
        self.speaks_from_ns: int | None = None
        """Flows that ended before this were put aside because there were too many; None when none was."""
        self.put_aside = 0
        """How many were."""
        self._failed: set[str] = set()
        self._pipes: dict[int, Quiet] = {}
        """By source."""
        self._flows_seen = 0
        self._fitting = self.limits.flows

    # The run ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Opens every source."""
        for ring, source in enumerate(self.sources):
            source.begin(lambda ring=ring: self._engine.open(ring))  # type: ignore[misc]
        if self.tracked is not None:
            self.tracked.begin()

    def turn(self) -> Turn:
        """Reads what there is, for half a second at most, and judges when it is time."""
        turn, seen_ns = Turn(), time.time_ns()
        caught_up = self._read(turn)
        now = time.monotonic()
        since = now - self._judged_at
        quiet = not self._news and since < _QUIET_S
        if since >= self._wait_s and not quiet and (caught_up or since >= _IMPATIENT_S):
            self._look(turn, seen_ns if caught_up else None)
        for notice in turn.notices:
            self.notices.append(notice)
        return turn

    def stop(self) -> None:
        """Ends all sources; what they still hold is read by later turns."""
        for source in self.sources:
            source.stop()

    @property
    def ended(self) -> bool:
        """No source will bring anything more, and all was read."""
        return all(source.ended for source in self.sources) and all(file.closed for _, file in self._files)

    @property
    def status(self) -> Status:
        """Where things stand."""
        summaries = [self._summary(file) for _, file in self._files]
        said = [source.dropped for source in self.sources if source.dropped is not None]
        stated = int(self._held.points["dropped"].sum()) if self._held.points.height else 0
        return Status(
            frames=sum(one["frames"] for one in summaries),
            bytes=sum(one["bytes"] for one in summaries),
            behind_bytes=sum(max(0, file.size - file.offset) for _, file in self._files if not file.closed),
            dropped=max(sum(said), stated) if said or stated else None,
            flows=self._held.count,
            started_ns=self.started_ns,
            files=len(self._files),
        )

    # Reading ------------------------------------------------------------------------------------------------

    def _read(self, turn: Turn) -> bool:
        """Feeds the engine; true when all that was written at the start was read."""
        until = time.monotonic() + _TURN_S
        caught_up = True
        for ring, source in enumerate(self.sources):
            source.look(lambda ring=ring: self._engine.open(ring))  # type: ignore[misc]
            ended = source.ended
            known = {id(file) for _, file in self._files}
            self._files += [(source, file) for file in source.files if id(file) not in known]
            for at, file in enumerate(source.files):
                if file.closed:
                    continue
                size = file.size
                over = self._feed(source, file, size, until)
                caught_up = caught_up and file.offset >= size
                self._hear(ring, file)
                if over and (ended or at + 1 < len(source.files)):
                    self._summaries[file.number] = self._engine.close(file.number)
                    file.close()
            for kind, text in source.notices:
                turn.notices.append(Notice(kind, text, time.time_ns(), source.name))
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
            self._news = True
            self._engine.feed(file.number, data)
            if file.offset >= size or time.monotonic() > until:
                return False

    def _hear(self, ring: int, file: Growing) -> None:
        """Notes when the newest frame of a pipe came."""
        source = self.sources[ring]
        if isinstance(source, Pipe) and not source.own:
            last_ns = self._engine.summary(file.number)["last_ns"]
            self._pipes.setdefault(ring, Quiet()).heard(last_ns, time.monotonic_ns())

    # Judging ------------------------------------------------------------------------------------------------

    def _look(self, turn: Turn, seen_ns: int | None) -> None:
        """Judges the window.

        Args:
            turn: gets what changed.
            seen_ns: everything captured until shortly before this time was read; None when we lag behind.
        """
        began = time.monotonic()
        self._news = False
        self._take(Frames.of(self._engine.drain()))
        try:
            self._judge(turn, seen_ns)
        except Exception as error:
            what = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            if what not in self._failed:
                self._failed.add(what)
                turn.notices.append(
                    Notice(
                        "judging-failed", f"the window could not be judged ({what}): please report this", time.time_ns()
                    )
                )
        self._judged_at = time.monotonic()
        # At most half of the time is spent on judging, and a look must not take so long that findings come late.
        cost_s = self._judged_at - began
        self._wait_s = max(_HALF_A_SECOND, cost_s)
        if cost_s > _LATE_S:
            self._fitting = max(2 * self.limits.few, self._held.count * 3 // 4)
        elif cost_s < _LATE_S / 2:
            self._fitting = self._fitting * 5 // 4

    def _judge(self, turn: Turn, seen_ns: int | None) -> None:
        if not self._held.points.height:
            return
        known, quiet = self._until_ns(seen_ns), self._quiet_until_ns(seen_ns)
        frames, numbers = self._held.frames(known | quiet)
        analysis = follow(frames, self.captures(), self._given, self.settings)
        if quiet and analysis.findings:
            before, _ = self._held.frames(known)
            without = follow(before, self.captures(), self._given, self.settings)
            analysis.findings[:] = doubted(analysis.findings, without.findings)
        turn.analysis, turn.numbers = analysis, numbers
        if self.local is not None:
            self.local.look(time.monotonic())
            analysis.findings[:] = self.local.told(analysis.findings)
        found = [_in_core_numbers(finding, numbers) for finding in analysis.findings]
        turn.updates += self.merging.update(found, time.time_ns())
        self._age(analysis, numbers, turn)

    def _age(self, analysis: Analysis, numbers: pl.Series, turn: Turn) -> None:
        now_ns = int(self._held.points["last_ns"].max())  # type: ignore[arg-type]
        self._fitting = min(self._fitting, self.limits.flows)
        gone = leaving(analysis, now_ns, replace(self.limits, flows=self._fitting))
        if gone is None:
            return
        flows = numbers.gather(gone.flows).to_list()
        counts = {finding.key: len(gone.paths.intersection(finding.paths)) for finding in analysis.findings}
        self.merging.put_aside(flows, counts)
        self._held.put_aside(flows)
        self._engine.forget(gone.closed_ns, gone.silent_ns)
        self.put_aside += len(flows)
        self.speaks_from_ns = max(self.speaks_from_ns or 0, gone.closed_ns)
        if gone.forced and "limit" not in self._failed:
            self._failed.add("limit")
            text = (
                f"more flows at once than can be judged in time ({self._fitting:,}): the oldest leave the window, "
                "their findings stay (--max-flows sets the most)"
            )
            turn.notices.append(Notice("window-full", text, time.time_ns()))

    def _until_ns(self, seen_ns: int | None) -> dict[int, int]:
        """Points of programs that we started: nothing came is known until a moment ago."""
        if seen_ns is None:
            return {}
        rings = {ring for ring, source in enumerate(self.sources) if source.own and not source.ended}
        return dict.fromkeys(self._points(rings), seen_ns - int(_HELD_BACK_NS * _busy()))

    def _quiet_until_ns(self, seen_ns: int | None) -> dict[int, int]:
        """Points of pipes that bring nothing: their own clock has gone on."""
        until: dict[int, int] = {}
        if seen_ns is None:
            return until
        for ring, pipe in self._pipes.items():
            source = self.sources[ring]
            if source.ended:
                continue
            summary = self._engine.summary(source.files[-1].number)
            if summary["within_record"] or summary["compression"]:
                continue
            if (until_ns := pipe.until_ns(time.monotonic_ns())) is not None:
                until |= dict.fromkeys(self._points({ring}), until_ns)
        return until

    def _points(self, rings: set[int]) -> list[int]:
        """The points of sources."""
        return self._held.points.filter(pl.col("ring").is_in(sorted(rings)))["point"].to_list()

    @property
    def settings(self) -> Settings:
        """The settings, with the points that ``--point`` names by interface."""
        named = []
        for source, file in self._files:
            name = point_name(source.name, self._settings.points)
            if name is not None:
                named += [(file.path, name), (file.shown, name)]
        return replace(self._settings, points=(*self._settings.points, *named))

    def captures(self) -> list[Capture]:
        """What was read so far, by number."""
        link_types: dict[int, int] = {}
        if self._held.points.height:
            link_types = dict(self._held.points.select("point", "link_type").iter_rows())
        several = {id(source) for source in self.sources if len(source.files) > 1}
        found = []
        for source, file in sorted(self._files, key=lambda one: one[1].number):
            summary = self._summary(file)
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
                    issues=(*summary["issues"], *self.issues(file)),
                    ring=source.name if id(source) in several else None,
                )
            )
        return found

    def issues(self, file: Growing) -> list[IssueRow]:
        """What happened to a capture while it was made, for the report."""
        source = next(source for source, one in self._files if one is file)
        rows: list[IssueRow] = []
        if file.gone:
            text = "the file was overwritten or taken away; its frames cannot be read again"
            if not self._summary(file)["frames"]:
                text = "the file was overwritten or taken away before it was analysed"
            rows.append({"kind": "overwritten", "frame": 0, "offset": 0, "detail": text, "count": 1})
        if file is source.files[-1]:
            for notice in self.notices:
                if notice.source == source.name and notice.kind not in _NOT_FOR_THE_REPORT:
                    text = f"{rfc3339_text(notice.time_ns)}: {notice.text}"
                    rows.append({"kind": notice.kind, "frame": 0, "offset": 0, "detail": text, "count": 1})
        if source.dropped and file is source.files[-1]:
            text = f"{source.dropped} frames were lost at {source.name} while capturing"
            rows.append({"kind": "dropped-frames", "frame": 0, "offset": 0, "detail": text, "count": source.dropped})
        return rows

    def _summary(self, file: Growing) -> CaptureSummary:
        return self._summaries.get(file.number) or self._engine.summary(file.number)

    @property
    def flows_seen(self) -> int:
        """Flows that ever were."""
        return self._flows_seen

    def last_look(self) -> Analysis:
        """The window judged once more, when nothing more will come; the engine is empty afterwards."""
        self._take(Frames.of(self._engine.finish()))
        frames, _ = self._held.frames({})
        return follow(frames, self.captures(), self._given, self.settings)

    def _take(self, news: Frames) -> None:
        self._held.take(news)
        if news.flows.height:
            self._flows_seen = max(self._flows_seen, int(news.flows["flow"].max()) + 1)  # type: ignore[arg-type]

    @property
    def files(self) -> list[Growing]:
        """Every file, in the order of the sources: numbers follow who began to write first."""
        return [file for source in self.sources for file in source.files]


def _busy() -> float:
    """How many times slower than alone a program runs here: the capture program gets its turn as late as others do."""
    if not hasattr(os, "getloadavg"):
        return 1.0
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _in_core_numbers(finding: Finding, numbers: pl.Series) -> Finding:
    """The finding with the core's numbers of flows; those of paths hold for one look only, and are left out."""

    def core(flow: int) -> int:
        return int(numbers[flow])

    evidence = tuple(replace(one, flow=core(one.flow)) if one.flow is not None else one for one in finding.evidence)
    return replace(finding, flows=tuple(map(core, finding.flows)), paths=(), evidence=evidence)
