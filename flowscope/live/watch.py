"""Live traffic through the river: read what was written, judge the window, say what changed."""

from __future__ import annotations

import operator
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from flowscope.analysis import Analysis, follow
from flowscope.capture.core import Frames, new_engine
from flowscope.capture.rings import point_name
from flowscope.findings import Finding, Verdict
from flowscope.given import Given
from flowscope.live.aging import Limits
from flowscope.live.growing import Growing
from flowscope.live.held import Held
from flowscope.live.local import Local
from flowscope.live.merging import Merging, Update
from flowscope.live.pace import QUIET_S, pace_s
from flowscope.live.quiet import doubted
from flowscope.live.reading import Notice, Reading
from flowscope.live.room import Room
from flowscope.live.sources import Source
from flowscope.live.tracked import Tracked
from flowscope.settings import Settings

if TYPE_CHECKING:
    from flowscope._core import IssueRow
    from flowscope.capture.file import Capture

#: A window that is never read up to is judged all the same after this long.
_IMPATIENT_S = 4.0


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
        self._given = given
        self._settings, self.limits = settings, limits or Limits()
        self._engine = new_engine(settings)
        self._reading = Reading(sources, self._engine)
        self._held, self.merging = Held(), Merging(self.limits.findings)
        self.room = Room(self.limits, self._held, self.merging, self._engine)
        """What left the window because there was too much."""
        self.notices: list[Notice] = []
        self.started_ns = time.time_ns()
        self._looked_at = time.monotonic()
        self._cost_s = 0.0
        """Processor time of the last look, see :func:`pace_s`."""
        self._sure: tuple[float, dict[str, Verdict]] = (0.0, {})
        """When all findings of a look were last seen to rest on no pipe's silence, and which they were."""
        self._failed: set[str] = set()
        self._flows_seen = 0

    # The run ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Opens every source."""
        self._reading.begin()
        if self.tracked is not None:
            self.tracked.begin()

    def turn(self) -> Turn:
        """Reads what there is, for half a second at most, and judges when it is time."""
        turn = Turn()
        caught_up = self._reading.turn(turn.notices)
        now = time.monotonic()
        since = now - self._looked_at
        quiet_s = None if self._reading.news else now - self._reading.heard_at
        wait_s = pace_s(self._cost_s, quiet_s, pending=self.merging.pending)
        if since >= wait_s and (caught_up or since >= _IMPATIENT_S):
            self._look(turn, caught_up)
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
        return self._reading.ended

    @property
    def status(self) -> Status:
        """Where things stand."""
        files = self.files
        summaries = [self._reading.summary(file) for file in files]
        said = [source.dropped for source in self.sources if source.dropped is not None]
        stated = int(self._held.points["dropped"].sum()) if self._held.points.height else 0
        return Status(
            frames=sum(one["frames"] for one in summaries),
            bytes=sum(one["bytes"] for one in summaries),
            behind_bytes=sum(max(0, file.size - file.offset) for file in files if not file.closed),
            dropped=max(sum(said), stated) if said or stated else None,
            flows=self._held.count,
            started_ns=self.started_ns,
            files=len(files),
        )

    # Judging ------------------------------------------------------------------------------------------------

    def _look(self, turn: Turn, caught_up: bool) -> None:
        """Judges the window.

        Args:
            turn: gets what changed.
            caught_up: everything that was written was read.
        """
        began, worked = time.monotonic(), time.process_time()
        self._looked_at = began
        self._reading.news = False
        self._take(Frames.of(self._engine.drain()))
        try:
            self._judge(turn, caught_up)
        except Exception as error:
            what = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            if what not in self._failed:
                self._failed.add(what)
                turn.notices.append(
                    Notice(
                        "judging-failed", f"the window could not be judged ({what}): please report this", time.time_ns()
                    )
                )
        self._cost_s = time.process_time() - worked
        self.room.took(time.monotonic() - began)

    def _judge(self, turn: Turn, caught_up: bool) -> None:
        if not self._held.points.height:
            return
        known = self._reading.captured_until_ns(self._held.points) if caught_up else {}
        quiet = self._reading.quiet_until_ns(self._held.points) if caught_up else {}
        frames, numbers = self._held.frames(known | quiet)
        given = self._known()
        analysis = follow(frames, self._captures(), given, self.settings)
        verdicts, now = {finding.key: finding.verdict for finding in analysis.findings}, time.monotonic()
        if not quiet:
            self._sure = now, verdicts
        elif verdicts and (verdicts != self._sure[1] or now - self._sure[0] > QUIET_S):
            before, _ = self._held.frames(known)
            without = follow(before, self._captures(), given, self.settings)
            told = doubted(analysis.findings, without.findings)
            if all(map(operator.is_, told, analysis.findings)):
                self._sure = now, verdicts
            analysis.findings[:] = told
        turn.analysis, turn.numbers = analysis, numbers
        if self.local is not None:
            self.local.look(time.monotonic())
            analysis.findings[:] = self.local.told(analysis.findings)
        found = [_in_core_numbers(finding, numbers) for finding in analysis.findings]
        turn.updates += self.merging.update(found, time.time_ns())
        if self.merging.dropped and "findings" not in self._failed:
            self._failed.add("findings")
            text = (
                f"more findings than are kept ({self.limits.findings:,}): of those whose flows have left, the mildest "
                "and oldest are dropped (--max-flows sets the most: a tenth of it)"
            )
            turn.notices.append(Notice("findings-full", text, time.time_ns()))
        turn.notices += self.room.make(analysis, numbers)

    @property
    def settings(self) -> Settings:
        """The settings, with the points that ``--point`` names by interface."""
        named = []
        for source, file in self._reading.files:
            name = point_name(source.name, self._settings.points)
            if name is not None:
                named += [(file.path, name), (file.shown, name)]
        return replace(self._settings, points=(*self._settings.points, *named))

    def _captures(self) -> list[Capture]:
        return self._reading.captures(self._held.points, self.notices)

    def issues(self, file: Growing) -> list[IssueRow]:
        """What happened to a capture while it was made, for the report."""
        source = next(source for source, one in self._reading.files if one is file)
        return self._reading.issues(source, file, self.notices)

    @property
    def flows_seen(self) -> int:
        """Flows that ever were."""
        return self._flows_seen

    def last_look(self) -> tuple[Analysis, list[Notice]]:
        """The window judged once more when nothing more will come, and what happened; the engine is empty then."""
        notices: list[Notice] = []
        self._take(Frames.of(self._engine.finish()))
        if self.room.exceeded:
            # What came since the last look has to make room as well; nothing more will confirm or refute it.
            frames, numbers = self._held.frames({})
            analysis = follow(frames, self._captures(), self._known(), self.settings)
            found = [_in_core_numbers(finding, numbers) for finding in analysis.findings]
            for _ in range(2):
                self.merging.update(found, time.time_ns())
            notices += self.room.make(analysis, numbers)
        frames, _ = self._held.frames({})
        return follow(frames, self._captures(), self._known(), self.settings), notices

    def _known(self) -> Given:
        """What people told, and what the kernel did so far."""
        return self._given if self.tracked is None else replace(self._given, translations=self.tracked.table)

    def _take(self, news: Frames) -> None:
        self._held.take(news)
        if news.flows.height:
            self._flows_seen = max(self._flows_seen, int(news.flows["flow"].max()) + 1)  # type: ignore[arg-type]

    @property
    def sources(self) -> list[Source]:
        """Each is one observation point."""
        return self._reading.sources

    @property
    def files(self) -> list[Growing]:
        """Every file, in the order of the sources: numbers follow who began to write first."""
        return [file for source in self.sources for file in source.files]


def _in_core_numbers(finding: Finding, numbers: pl.Series) -> Finding:
    """The finding with the core's numbers of flows; those of paths hold for one look only, and are left out."""

    def core(flow: int) -> int:
        return int(numbers[flow])

    evidence = tuple(replace(one, flow=core(one.flow)) if one.flow is not None else one for one in finding.evidence)
    return replace(finding, flows=tuple(map(core, finding.flows)), paths=(), evidence=evidence)
