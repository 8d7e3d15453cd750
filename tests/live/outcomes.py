"""What became of scenarios that were watched live, and how that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: A finding is told within this time after the packet, or the deadline, that proves it.
LATE_S = 2.0


@dataclass
class Row:
    """One finding of one report."""

    scenario: str
    place: str
    rule: str
    verdict: str
    expected: bool
    told: float | None
    """When; None when only the report holds it."""
    ended: float
    """When the last frame came, or the last call of a client ended if that was earlier."""
    key: str = ""
    delay_s: float | None = None
    """After its proof; None when it was not measured."""

    @property
    def running(self) -> bool:
        """It was told while the traffic ran."""
        return self.told is not None and self.told < self.ended


@dataclass(frozen=True)
class Heard:
    """What one watcher was given and kept: enough to find out since when a finding was proven."""

    place: str
    files: tuple[Path, ...]
    topology: Path | None
    rules: Path | None
    cut: Path
    """A folder for beginnings of the files."""


@dataclass
class Outcome:
    """What became of one scenario."""

    name: str
    rows: list[Row] = field(default_factory=list)
    differs: dict[str, list[str]] = field(default_factory=dict)
    """By place, how its report differs from the one of the files."""
    missing: list[str] = field(default_factory=list)
    """Expected, and in no report, or not in that of two points at once."""
    untold: list[str] = field(default_factory=list)
    """Expected and in a report, and not told while the traffic ran."""
    wrong: list[str] = field(default_factory=list)
    """Told and neither withdrawn nor in the report, or told twice."""
    note: str = ""
    heard: list[Heard] = field(default_factory=list)
    busy: float = 0.0
    """Programs that wanted a processor, for each that there is."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """All that was expected was told, and the reports are those of the files."""
        return not (self.missing or self.untold or self.wrong or any(self.differs.values()) or self.note)


def table(outcomes: Sequence[Outcome]) -> str:
    """The table in Markdown."""
    lines = [
        "| scenario | place | finding | verdict | told after proof, s | before last frame, s | equals offline |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in sorted(outcomes, key=lambda one: one.name):
        for row in outcome.rows:
            delay = "not measured" if row.delay_s is None else f"{row.delay_s:.1f}"
            told = ("only in the report", "") if row.told is None else (delay, f"{row.ended - row.told:.1f}")
            mark = "" if row.expected else " (not scripted)"
            equal = "no" if outcome.differs[row.place] else "yes"
            cells = (row.scenario, row.place, row.rule + mark, row.verdict, *told, equal)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def late(outcome: Outcome) -> int:
    """How many of its scripted findings were told too long after their proof."""
    return sum(row.expected and row.delay_s is not None and row.delay_s > LATE_S for row in outcome.rows)


def summary(outcomes: Sequence[Outcome]) -> str:
    """The table, and a line about delays."""
    lines = [table(outcomes)]
    delays = sorted(row.delay_s for one in outcomes for row in one.rows if row.delay_s is not None and row.expected)
    if delays:
        lines.append(
            f"{len(delays)} scripted findings told, median {delays[len(delays) // 2]:.1f} s after their proof, "
            f"longest {delays[-1]:.1f} s, {sum(map(late, outcomes))} later than {LATE_S:.0f} s"
        )
    return "\n".join(lines)


def tell(outcome: Outcome) -> None:
    """A line about one scenario, and one for each thing that was wrong."""
    word, took = "ok" if outcome.good else "FAIL", f"{outcome.seconds:5.1f} s"
    print(f"{word:4s} {outcome.name:28s} {took}, load {outcome.busy:.1f} per processor", flush=True)
    differ = [f"{place}: {line[:600]}" for place, lines in outcome.differs.items() for line in lines[:4]]
    untold = [f"not told while traffic ran: {one}" for one in outcome.untold]
    absent = [f"two points at once do not show: {one}" for one in outcome.missing]
    for line in (*absent, *untold, *outcome.wrong, *differ, *outcome.note.splitlines()[-8:]):
        print(f"       {line}", flush=True)
