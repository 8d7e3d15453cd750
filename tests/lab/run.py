"""Plays scenarios: ``python -m tests.lab.run [--seed N]... [--out DIR] [--jobs N] [--table] [--list] [NAME...]``."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.lab.check import Witness
from tests.lab.plan import Plan
from tests.lab.scenarios.index import load
from tests.lab.stage import Stage
from tests.lab.world import World, missing, remove, signal_when_orphaned, sweep

JOBS = 6


@dataclass
class Outcome:
    """What became of one scenario."""

    name: str
    seed: int
    seconds: float = 0.0
    verdicts: dict[str, int] = field(default_factory=dict)
    claims: int = 0
    wrong: list[str] = field(default_factory=list)
    error: str = ""
    skipped: str = ""

    @property
    def good(self) -> bool:
        """Whether it ran and its phenomenon was shown."""
        return not self.error and not self.wrong


def play(name: str, seed: int, out: Path) -> Outcome:
    """Play one scenario into ``out/name`` and check it."""
    scenario, outcome, begin = load()[name], Outcome(name, seed), time.time()
    lacking = [tool for tool in scenario.needs if not shutil.which(tool)]
    if lacking:
        outcome.skipped = f"needs {', '.join(lacking)}"
        return outcome
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plan = Plan(seed * 100_000 + zlib.crc32(name.encode()) % 99_991, scenario.family)
    try:
        offloads = scenario.world.get("offloads", plan.rng.random() < 0.5)
        form = plan.rng.choice(("us", "us", "ns", "ng", "us-be"))
        with World(plan, **{**scenario.world, "offloads": offloads}) as world:
            stage = Stage(name, plan, world, folder, form)
            stage.description = (scenario.play.__doc__ or "").strip()
            scenario.play(stage)
        told = stage.finish()
        outcome.verdicts = told["verdict_counts"]
        if scenario.check:
            witness = Witness(stage)
            scenario.check(stage, witness)
            outcome.claims, outcome.wrong = len(witness.claims), witness.wrong
    except Exception:
        outcome.error = traceback.format_exc()
    outcome.seconds = round(time.time() - begin, 1)
    return outcome


def play_all(wanted: Iterable[tuple[int, str]], out: Path, jobs: int) -> Iterator[Outcome]:
    """Play (seed, scenario) pairs side by side into ``out/seed/scenario``, the long ones first; yields each."""
    sweep()
    known = load()
    ordered = sorted(wanted, key=lambda pair: (known[pair[1]].order, pair))
    with ProcessPoolExecutor(jobs, initializer=obey, initargs=(os.getpid(),)) as pool:
        try:
            for future in as_completed([pool.submit(play, name, seed, out / str(seed)) for seed, name in ordered]):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def obey(parent: int) -> None:
    """A worker that is told to end, or whose parent was killed, first takes down the world it plays in."""

    def end(*_: object) -> None:
        # A second signal, or a lock that the interrupted code holds, must not stop this.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for world in World.standing:
            remove(world.prefix)
        os._exit(143)

    signal.signal(signal.SIGTERM, end)
    signal_when_orphaned(signal.SIGTERM)
    if os.getppid() != parent:
        end()


def table(rows: Iterable[Outcome]) -> str:
    """Scenarios, seconds, claims shown, and connections by verdict, per seed: a table in Markdown."""
    ordered = sorted(rows, key=lambda row: (row.name, row.seed))
    lines = ["| scenario | seed | s | claims | connections |", "|---|---|---|---|---|"]
    for row in ordered:
        verdicts = ", ".join(f"{number:,} {word}" for word, number in sorted(row.verdicts.items()))
        claims = f"{row.claims - len(row.wrong)} of {row.claims}"
        cells = (row.name, row.seed, f"{row.seconds:.1f}", claims, row.skipped or verdicts or "could not be played")
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> int:
    """The command line; 1 when a scenario failed or its phenomenon could not be shown."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="SCENARIO")
    seeds = "addresses, ports and timings come from it; may be given again (default: random)"
    parser.add_argument("--seed", type=int, action="append", help=seeds)
    parser.add_argument("--out", type=Path, help="where to put the captures (default: a temporary folder)")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"worlds side by side (default {JOBS})")
    parser.add_argument("--table", action="store_true", help="end with a table of scenarios, times and verdicts")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    options = parser.parse_args()
    known = load()
    if options.list:
        for name, scenario in known.items():
            print(f"{name:28s} {(scenario.play.__doc__ or '').strip().splitlines()[0]}")
        return 0
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no scenario {unknown[0]}; --list names them")
    if reason := missing():
        print(f"skipped: {reason}", file=sys.stderr)
        return 2
    # Told to stop, leave the with blocks: workers are ended and worlds taken down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seeds = options.seed or [random.randrange(10_000)]
    out = options.out or Path(tempfile.mkdtemp(prefix="flowscope-lab-"))
    print(f"seed {', '.join(map(str, seeds))}, into {out}")
    begin, bad, rows = time.time(), 0, list[Outcome]()
    try:
        for outcome in play_all([(s, n) for s in seeds for n in options.names or known], out, options.jobs):
            bad += not outcome.good
            rows.append(outcome)
            word = "skip" if outcome.skipped else "ok" if outcome.good else "FAIL"
            told = f"{word:4s} {outcome.name:28s} {outcome.seconds:5.1f} s  {outcome.claims} claims "
            verdicts = ", ".join(f"{n} {verdict}" for verdict, n in sorted(outcome.verdicts.items()))
            print(told, verdicts + outcome.skipped)
            for line in (*outcome.wrong, *outcome.error.splitlines()[-12:]):
                print(f"       {line}")
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    (out / "outcomes.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    if options.table:
        print(table(rows))
    print(f"{len(rows)} scenarios, {bad} failed, {time.time() - begin:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
