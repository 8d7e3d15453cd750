"""Legs and clocks of degraded captures against the truth: ``python -m tests.lab.degraded_paths [FOLDER...]``.

Each point's file in turn is left out, loses 5 % of its packets, or gets a wrong clock; and every file is cut to 96
bytes a frame. Prints a row for each, and ends with 1 where a join is wrong, too few of what is still visible are
joined, or a clock's true offset is not what was stated. Folders are captures with their ``truth.json`` (default: those
of FLOWSCOPE_TRUTH).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flowscope.analysis import Analysis, analyze
from tests.lab import compare, degrade, files
from tests.lab.compare import Pair
from tests.lab.files import Capture
from tests.lab.packets import Point
from tests.lab.plan import endpoint
from tests.lab.true_clocks import Heard, TrueClock, as_played, by_host, heard
from tests.lab.visible import Visible

AS_IS, WITHOUT, LOSS, SNAP, CLOCK = "as it is", "without", "5 % loss", "snaplen 96", "clock"
KINDS = (WITHOUT, LOSS, SNAP, CLOCK)
LEAST_RECALL = 0.99
CLOCK_S, CLOCK_PPM = 300, 100
#: Frames of a run that are too many to analyse it four times more while the lab is played.
_LARGE_FRAMES = 200_000
GIVEN, BLIND = "topology", "blind"


@dataclass(frozen=True)
class Worse:
    """One way in which a run's captures are worse: a kind, and the file that it happens to (empty: to all)."""

    kind: str
    file: str = ""


@dataclass
class Row:
    """How one degraded run was judged."""

    case: str
    worse: Worse
    given: str
    precision: float
    recall: float
    asked: int
    """Joins that are still visible."""
    clock: Heard = field(default_factory=Heard)
    misjoined: list[Pair] = field(default_factory=list)
    unjoined: list[Pair] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """What misses the bounds; empty when nothing does."""
        lines = [f"misjoined {' '.join(pair)}" for pair in self.misjoined]
        if self.recall < (1.0 if self.worse.kind == AS_IS and self.given == GIVEN else LEAST_RECALL):
            lines += [f"unjoined {' '.join(pair)}" for pair in self.unjoined]
        return lines + self.clock.wrong


class Run:
    """The captures of one run, read once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told = folder, compare.truth(folder)
        names = dict.fromkeys(row["file"] for row in self.told["captures"])
        self.captures = {name: files.read(folder / name) for name in names if (folder / name).exists()}
        self.clocks = as_played(self.told, self.captures)
        self.points = {name: Point(by_host(one, self.clocks[name])) for name, one in self.captures.items()}

    def worse(self) -> list[Worse]:
        """Every degradation, the points in turn."""
        several = [name for name, one in self.captures.items() if one.frames] if len(self.captures) > 1 else []
        return [Worse(SNAP), *(Worse(kind, name) for kind in (WITHOUT, LOSS, CLOCK) for name in several)]

    def judge(self, worse: Worse, given: tuple[str, ...], seed: int, work: Path) -> Iterator[Row]:
        """Analyses the degraded captures with a topology and without, and compares."""
        captures, clocks, points = dict(self.captures), dict(self.clocks), dict(self.points)
        for name in [worse.file] if worse.file else list(captures):
            if worse.kind == WITHOUT:
                del captures[name], clocks[name], points[name]
            elif worse.kind in (LOSS, SNAP):
                change = degrade.drop_share(0.05, seed) if worse.kind == LOSS else degrade.cut_to(96)
                captures[name] = change(captures[name])
                points[name] = Point(by_host(captures[name], clocks[name]))
            elif worse.kind == CLOCK:
                captures[name], clocks[name] = _moved(captures[name], clocks[name], -1 if seed % 2 else 1)
        visible = Visible(self.told, points)
        paths = [self._stored(name, one, work) for name, one in captures.items()]
        for how in given:
            topology = str(self.folder / "topology.toml") if how == GIVEN else None
            analysis = analyze(paths, topology=topology)
            yield self._row(analysis, Row(self.folder.name, worse, how, 1.0, 1.0, 0), visible, clocks)

    def _stored(self, name: str, capture: Capture, work: Path) -> Path:
        """The file as it was, or the degraded one under the same name."""
        if capture is self.captures[name]:
            return self.folder / name
        files.write(work / name, capture, degrade.form_of(self.folder / name))
        return work / name

    def _row(self, analysis: Analysis, row: Row, visible: Visible, clocks: dict[str, TrueClock]) -> Row:
        asked, real = visible.joins(), compare.true_pairs(self.told)
        claimed = claims(analysis, real)
        row.misjoined = list((claimed - (real | asked)).elements())
        row.unjoined = list((asked - claimed).elements())
        row.asked = asked.total()
        row.precision = 1 - len(row.misjoined) / claimed.total() if claimed else 1.0
        row.recall = 1 - len(row.unjoined) / row.asked if row.asked else 1.0
        row.clock = heard(analysis, list(clocks), clocks, visible)
        return row


def _moved(capture: Capture, clock: TrueClock, sign: int) -> tuple[Capture, TrueClock]:
    """A clock that is set wrong: 300 s and 100 ppm more or less than it was."""
    moved = degrade.shift_clock(sign * CLOCK_S, sign * CLOCK_PPM)(capture)
    first = min(frame.ns for frame in capture.frames)
    # Of two drifts in a row their product is far below a nanosecond.
    return moved, TrueClock(clock.host(first), clock.ahead_ns + sign * 10**9 * CLOCK_S, clock.ppm + sign * CLOCK_PPM)


def claims(analysis: Analysis, real: Counter[Pair]) -> Counter[Pair]:
    """The joins that an analysis claims; a later leg counts as joined to the leg before it or to the first one."""
    texts = analysis.addresses["text"]
    ends = {
        leg: (endpoint(texts[src], sport), endpoint(texts[dst], dport))
        for leg, src, sport, dst, dport in analysis.legs.select("leg", "src", "src_port", "dst", "dst_port").rows()
    }
    return compare.joined_pairs(([ends[leg] for leg in legs] for legs in analysis.paths["legs"].to_list()), real)


def table(row: Row) -> str:
    """One line of the table."""
    clock = row.clock
    off = "-" if clock.off_ns is None else f"{clock.off_ns / 1000:,.1f} us of {(clock.bound_ns or 0) / 1000:,.1f}"
    cells = (
        row.case, row.worse.kind, row.worse.file or "all", row.given, f"{row.asked:,}", f"{row.precision:.4f}",
        f"{row.recall:.4f}", off, "no" if clock.wrong else "yes",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def judged(folder: Path, seed: int) -> Iterator[Row]:
    """All rows of one run."""
    run = Run(folder)
    for worse in [Worse(AS_IS), *run.worse()]:
        with tempfile.TemporaryDirectory(prefix="flowscope-degraded-") as work:
            yield from run.judge(worse, (GIVEN, BLIND), seed, Path(work))


def one_of_each(every: list[Worse], name: str, seed: int) -> list[tuple[Worse, str]]:
    """One degradation of each kind, with its topology or without: with the next seed another file and the other way."""
    turn = seed + zlib.crc32(name.encode())
    found = []
    for number, kind in enumerate(KINDS):
        if choice := [worse for worse in every if worse.kind == kind]:
            found.append((choice[(turn + number) % len(choice)], (GIVEN, BLIND)[(turn + number) % 2]))
    return found


def sampled(folder: Path, seed: int) -> list[Row]:
    """The rows of :func:`one_of_each`; of a large run only one of them."""
    run, rows = Run(folder), list[Row]()
    chosen = one_of_each(run.worse(), folder.name, seed)
    if sum(len(one.frames) for one in run.captures.values()) > _LARGE_FRAMES:
        chosen = [chosen[seed % len(chosen)]]
    for worse, given in chosen:
        with tempfile.TemporaryDirectory(prefix="flowscope-degraded-") as work:
            rows += run.judge(worse, (given,), seed, Path(work))
    return rows


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.degraded_paths", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=1, help="which packets are lost, and which way clocks are moved")
    parser.add_argument("--wrong", action="store_true", help="print only the rows that miss")
    options = parser.parse_args(arguments)
    truth = os.environ.get("FLOWSCOPE_TRUTH")
    folders = options.folders or sorted(path.parent for path in Path(truth or ".", "lab").glob("*/truth.json"))
    if not folders:
        parser.error("no FOLDER given, and FLOWSCOPE_TRUTH names no captures")
    print("| case | degradation | file | given | joins | precision | recall | offset error | inside |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = bad = 0
    for folder in folders:
        for row in judged(folder, options.seed):
            rows, bad = rows + 1, bad + bool(row.wrong)
            if row.wrong or not options.wrong:
                print(table(row))
            for line in row.wrong[:3]:
                print(f"    {line}")
            sys.stdout.flush()
    print(f"{rows} rows of {len(folders)} runs, {bad} miss")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
