"""Every fault of the lab, live: ``python -m tests.live.lab_faults [--seed N] [--jobs N] [--out DIR] [SCENARIO...]``.

Each scenario is watched at a member, at the balancer, and at balancer and members at once. The table has one row per
finding of a report: seconds between the moment since when the frames prove it and the line that told it, whether that
was while the traffic ran, and whether the report is that of ``flowscope analyze`` on the written files.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from flowscope.nat.join_reasons import TRACKED
from tests.lab.compare import same
from tests.lab.run import obey
from tests.lab.scenarios.index import load
from tests.lab.world import missing, sweep
from tests.live.playing import PLACES, Played, Watcher, play
from tests.live.proof import Prefixes

#: Needs files that are written while or after the scenario plays.
GIVEN_LATER = ("nsg-deny",)
#: A link that comes up says so with its first look, a second later.
_STARTING_S = 3.0


@dataclass
class Row:
    """One finding of one report."""

    scenario: str
    place: str
    rule: str
    verdict: str
    expected: bool
    told: bool
    """Before the run was ended."""
    delay_s: float | None
    """After its proof; None when it was not measured."""
    running: bool
    """It was told while the traffic ran."""
    subject: str = ""


@dataclass
class Outcome:
    """What became of one scenario."""

    name: str
    rows: list[Row] = field(default_factory=list)
    differs: dict[str, list[str]] = field(default_factory=dict)
    """By place, how its report differs from the one of the files."""
    missing: list[str] = field(default_factory=list)
    """Expected, and in no report."""
    untold: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Told and neither withdrawn nor in the report, or told twice."""
    note: str = ""
    files: list[Path] = field(default_factory=list)
    """What was kept."""
    busy: float = 0.0
    """Programs that wanted a processor, for each that there is."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """All that was expected was told, and the reports are those of the files."""
        return not (self.missing or self.untold or self.wrong or any(self.differs.values()) or self.note)


def watch(name: str, seed: int, out: Path, places: Sequence[str] = PLACES, *, measured: bool = True) -> Outcome | None:
    """Plays a scenario and judges what was told; None when there is nothing that live could tell.

    Args:
        name: of the scenario.
        seed: of its addresses and timings.
        out: a folder for the captures.
        places: where it is watched.
        measured: find out since when each finding is proven.
    """
    began = time.time()
    outcome = Outcome(name)
    try:
        stage = play(name, out / name, places, seed)
        wanted = [item for item in stage.expected if not item.get("optional")]
        if stage.degraded or not wanted:
            return None
        for watcher in stage.watchers:
            _judge(outcome, stage, watcher, wanted, measured=measured)
        found = [finding for watcher in stage.watchers for finding in watcher.findings]
        sure = [finding for finding in found if finding["verdict"] != "undecided"]
        outcome.missing = [
            f"{item['rule']} {item['subject']}" for item in wanted if not any(same(item, one) for one in sure)
        ]
    except Exception:
        outcome.note = traceback.format_exc()
    outcome.seconds = time.time() - began
    outcome.busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    return outcome


def _judge(outcome: Outcome, stage: Played, watcher: Watcher, wanted: list[dict[str, Any]], *, measured: bool) -> None:
    outcome.differs[watcher.place] = differences(watcher)
    outcome.wrong += astray(watcher)
    outcome.files += watcher.files
    cut = watcher.kept.with_name(f"cut-{watcher.place}")
    prefixes = Prefixes(watcher.files, watcher.topology, cut) if measured else None
    for finding in watcher.findings:
        told = watcher.told_at(finding["key"])
        expected = any(same(item, finding) for item in wanted)
        told = told if told is not None and told < stage.stopped_at else None
        delay = None
        if told is not None and prefixes is not None:
            proven = prefixes.proven_at(finding["key"], told)
            delay = 0.0 if proven is None else told - proven
        outcome.rows.append(
            Row(
                outcome.name, watcher.place, finding["rule"], finding["verdict"], expected,
                told is not None, delay,
                told is not None and told < stage.traffic_ended, finding["key"],
            )
        )  # fmt: skip
        if expected and told is None and finding["verdict"] != "undecided":
            outcome.untold.append(f"{watcher.place}: {finding['key']}")


def comparable(line: dict[str, Any], ready_ns: int) -> dict[str, Any] | None:
    """A line without what only the machine itself can say.

    That is which program listens, that its kernel confirms a join, and that a link came up as watching began.

    Args:
        line: of the live report.
        ready_ns: when watching had begun; the links of a new namespace come up about then.
    """
    if line.get("type") == "issue" and line.get("kind") == "interface-up":
        stamp = datetime.fromisoformat(line["detail"].partition(" ")[0].rstrip(":")).timestamp()
        if stamp < ready_ns / 1e9 + _STARTING_S:
            return None
    if line.get("reasons"):
        line = {**line, "reasons": [reason for reason in line["reasons"] if reason != TRACKED]}
    if line.get("rule") != "closed-port" or "listening" not in line["facts"]:
        return line
    assert line["cause"].startswith("On this machine nothing listens on ")
    facts = {name: value for name, value in line["facts"].items() if name != "listening"}
    cause = "No process listens on this address and port (or it listens on 127.0.0.1 only)."
    return {**line, "facts": facts, "cause": cause}


def differences(watcher: Watcher) -> list[str]:
    """Lines that only one of the two reports has."""
    live = [comparable(line, watcher.ready_ns) for line in watcher.final]
    ours = [line for line in live if line is not None]
    theirs = watcher.offline()
    return [
        *(f"live only: {line}" for line in ours if line not in theirs),
        *(f"files only: {line}" for line in theirs if line not in ours),
        *(["in another order"] if ours != theirs and len(ours) == len(theirs) else []),
    ]


def astray(watcher: Watcher) -> list[str]:
    """Findings that were told twice, or told and neither withdrawn nor in the report."""
    held = {finding["key"] for finding in watcher.findings}
    last: dict[str, str] = {}
    wrong = []
    for _, line in watcher.told:
        if line.get("live") and line["type"] == "finding":
            if line["live"] == "new" and last.get(line["key"], "withdrawn") != "withdrawn":
                wrong.append(f"{watcher.place}: told twice: {line['key']}")
            last[line["key"]] = line["live"]
    left = [key for key, change in last.items() if change != "withdrawn" and key not in held]
    return wrong + [f"{watcher.place}: not in the report: {key}" for key in left]


def table(outcomes: Sequence[Outcome]) -> str:
    """The table in Markdown."""
    lines = [
        "| scenario | place | finding | verdict | told after its proof, s | while traffic ran | report = files |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in sorted(outcomes, key=lambda one: one.name):
        for row in outcome.rows:
            delay = "only in the report" if not row.told else "" if row.delay_s is None else f"{row.delay_s:.1f}"
            equal = "no" if outcome.differs[row.place] else "yes"
            mark = "" if row.expected else " (not scripted)"
            cells = (
                row.scenario,
                row.place,
                row.rule + mark,
                row.verdict,
                delay,
                "yes" if row.running else "no",
                equal,
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """The command line; 1 when a fault was not told or a report differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.live.lab_faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="SCENARIO")
    parser.add_argument("--seed", type=int, help="addresses, ports and timings come from it (default: random)")
    parser.add_argument("--out", type=Path, help="where to put the captures (default: a temporary folder)")
    parser.add_argument("--jobs", type=int, default=3, help="worlds side by side (default 3)")
    parser.add_argument("--unmeasured", action="store_true", help="do not find out since when findings are proven")
    options = parser.parse_args()
    if reason := missing():
        print(f"skipped: {reason}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sweep()
    seed = options.seed if options.seed is not None else random.randrange(10_000)
    out = options.out or Path(tempfile.mkdtemp(prefix="flowscope-live-lab-"))
    names = options.names or [name for name in load() if not name.startswith("healthy") and name not in GIVEN_LATER]
    names = [name for name in names if all(shutil.which(tool) for tool in load()[name].needs)]
    print(f"seed {seed}, into {out}")
    began, outcomes, silent = time.time(), [], []
    with ProcessPoolExecutor(options.jobs, initializer=obey, initargs=(os.getpid(),)) as pool:
        running = {pool.submit(watch, name, seed, out, measured=not options.unmeasured): name for name in names}
        try:
            for future in as_completed(running):
                outcome = future.result()
                if outcome is None:
                    silent.append(running[future])
                    continue
                outcomes.append(outcome)
                word, took = "ok" if outcome.good else "FAIL", f"{outcome.seconds:5.1f} s"
                print(f"{word:4s} {outcome.name:28s} {took}, load {outcome.busy:.1f} per processor", flush=True)
                differ = [f"{place}: {line[:600]}" for place, lines in outcome.differs.items() for line in lines[:4]]
                untold = [f"only in the report: {one}" for one in outcome.untold]
                absent = [f"nowhere: {one}" for one in outcome.missing]
                for line in (*absent, *untold, *outcome.wrong, *differ, *outcome.note.splitlines()[-8:]):
                    print(f"       {line}", flush=True)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    print(table(outcomes))
    delays = sorted(row.delay_s for one in outcomes for row in one.rows if row.delay_s is not None and row.expected)
    late = sum(delay > 2 for delay in delays)
    bad = sum(not outcome.good for outcome in outcomes)
    if delays:
        print(
            f"{len(delays)} scripted findings told, median {delays[len(delays) // 2]:.1f} s after their proof, "
            f"longest {delays[-1]:.1f} s, {late} later than 2 s"
        )
    print(f"{len(outcomes)} scenarios, {bad} failed, {time.time() - began:.0f} s")
    print(f"without a fault that live could tell: {', '.join(sorted(silent)) or 'none'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
