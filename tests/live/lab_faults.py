"""Every fault of the lab, live: ``python -m tests.live.lab_faults [--seed N] [--jobs N] [--out DIR] [SCENARIO...]``.

Each scenario is watched at a member, at the balancer, and at balancer and members at once. The table has one row per
finding of a report: seconds between the moment since when the frames prove it and the line that told it, seconds
between that line and the end of the traffic, and whether the report is that of ``flowscope analyze`` on the written
files. A fault that a report holds and that was not told while traffic ran fails, as does one that two points at once
do not tell, and one that was told more than two seconds after its proof. Moments of proof are found out once nothing
is played any more: that takes the processors of live runs.
"""

from __future__ import annotations

import argparse
import multiprocessing
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
from datetime import datetime
from pathlib import Path
from typing import Any

from flowscope.nat.join_reasons import TRACKED
from tests.lab.compare import same
from tests.lab.run import obey
from tests.lab.scenarios.index import load
from tests.lab.world import missing, sweep
from tests.live.outcomes import Heard, Outcome, Row, late, summary, tell
from tests.live.playing import PLACES, Played, Watcher, play
from tests.live.proof import Prefixes

#: A link that comes up says so with its first look, a second later.
_STARTING_S = 3.0


def watch(name: str, seed: int, out: Path, places: Sequence[str] = PLACES) -> Outcome | None:
    """Plays a scenario and judges what was told; None when there is nothing that live could tell.

    Args:
        name: of the scenario.
        seed: of its addresses and timings.
        out: a folder for the captures.
        places: where it is watched.
    """
    began = time.time()
    outcome = Outcome(name)
    try:
        stage = play(name, out / name, places, seed)
        wanted = [item for item in stage.expected if not item.get("optional")]
        if stage.degraded or not wanted:
            return None
        for watcher in stage.watchers:
            _judge(outcome, stage, watcher, wanted)
        (at_once,) = (watcher for watcher in stage.watchers if watcher.place == "both")
        sure = [finding for finding in at_once.findings if finding["verdict"] != "undecided"]
        outcome.missing = [
            f"{item['rule']} {item['subject']}" for item in wanted if not any(same(item, one) for one in sure)
        ]
    except Exception:
        outcome.note = traceback.format_exc()
    outcome.seconds = time.time() - began
    outcome.busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    return outcome


def _judge(outcome: Outcome, stage: Played, watcher: Watcher, wanted: list[dict[str, Any]]) -> None:
    outcome.differs[watcher.place] = differences(watcher)
    outcome.wrong += astray(watcher)
    cut = watcher.kept.with_name(f"cut-{watcher.place}")
    outcome.heard.append(Heard(watcher.place, tuple(watcher.files), watcher.topology, watcher.rules, cut))
    ended = min(watcher.last_frame_s, stage.traffic_ended)
    for finding in watcher.findings:
        key, expected = finding["key"], any(same(item, finding) for item in wanted)
        row = Row(
            outcome.name, watcher.place, finding["rule"], finding["verdict"], expected, watcher.told_at(key), ended, key
        )
        outcome.rows.append(row)
        if expected and not row.running and row.verdict != "undecided":
            late = "only in the report" if row.told is None else f"{row.told - ended:.1f} s after the last frame"
            outcome.untold.append(f"{watcher.place}: {key}: {late}")


def measure(outcome: Outcome) -> Outcome:
    """Finds out since when each finding that was told is proven."""
    for heard in outcome.heard:
        prefixes = Prefixes(heard.files, heard.topology, heard.rules, heard.cut)
        for row in outcome.rows:
            if row.place == heard.place and row.told is not None:
                proven = prefixes.proven_at(row.key, row.told)
                row.delay_s = 0.0 if proven is None else row.told - proven
        shutil.rmtree(heard.cut)
    return outcome


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
    cause = "No process listens on this address and port (or on 127.0.0.1 only), or the host's own firewall resets it."
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


def main() -> int:
    """The command line; 1 when a fault was not told, or told too late, or a report differs."""
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
    names = options.names or [name for name in load() if not name.startswith("healthy")]
    names = [name for name in names if all(shutil.which(tool) for tool in load()[name].needs)]
    print(f"seed {seed}, into {out}")
    began, played, silent = time.time(), dict[str, Outcome](), list[str]()
    with ProcessPoolExecutor(options.jobs, initializer=obey, initargs=(os.getpid(),)) as pool:
        running = {pool.submit(watch, name, seed, out): name for name in names}
        try:
            for future in as_completed(running):
                outcome = future.result()
                if outcome is None:
                    silent.append(running[future])
                    continue
                played[outcome.name] = outcome
                tell(outcome)
            if not options.unmeasured:
                for future in as_completed([pool.submit(measure, outcome) for outcome in played.values()]):
                    outcome = future.result()
                    played[outcome.name] = outcome
        except BaseException:
            # Told to end: each takes its world down.
            for worker in multiprocessing.active_children():
                worker.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            # Also what was done when it is told to end.
            outcomes = list(played.values())
            bad = sum(not outcome.good for outcome in outcomes)
            print(summary(outcomes))
            print(f"{len(outcomes)} of {len(names)} scenarios, {bad} failed, {time.time() - began:.0f} s")
            print(f"without a fault that live could tell: {', '.join(sorted(silent)) or 'none'}", flush=True)
    return 1 if bad or any(map(late, outcomes)) else 0


if __name__ == "__main__":
    sys.exit(main())
