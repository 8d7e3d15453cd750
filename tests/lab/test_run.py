"""A run's manners: what is left of one that ended, was interrupted or killed, and of two side by side."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.run import Outcome, table
from tests.lab.world import REGISTRY, missing, started, sweep

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.Popen[str]"]


def plays(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that plays scenarios."""
    skipped = pytest.mark.skipif(os.environ.get("FLOWSCOPE_LAB") == "0", reason="FLOWSCOPE_LAB=0")
    return pytest.mark.slow(skipped(test))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts runs of one scenario, each with a folder of its own; ends what is left of them."""
    if reason := missing():
        pytest.skip(reason)
    begun: list[subprocess.Popen[str]] = []

    def begin(name: str, seed: int = 5) -> subprocess.Popen[str]:
        out = tmp_path / f"run{len(begun)}"
        argv = [sys.executable, "-m", "tests.lab.run", "--seed", str(seed), "--out", str(out), "--jobs", "1", name]
        begun.append(subprocess.Popen(argv, cwd=ROOT, text=True, stdout=subprocess.PIPE, start_new_session=True))
        return begun[-1]

    yield begin
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    sweep()


def parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def soon(what: Callable[[], Any], seconds: float = 60) -> Any:
    """What something gives, once it gives anything."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def world_of(run: subprocess.Popen[str]) -> str | None:
    """The prefix of the namespaces in which a run plays."""
    for entry in REGISTRY.glob("fs*"):
        with contextlib.suppress(OSError, ValueError):
            if parent(int(entry.read_text().split()[0])) == run.pid:
                return entry.name
    return None


def namespaces(prefix: str) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], text=True, capture_output=True, check=True).stdout
    return [line.split()[0] for line in listed.splitlines() if line.startswith(f"{prefix}-")]


def inside(prefix: str) -> set[tuple[int, str | None]]:
    """The processes in those namespaces, each with its start time."""
    found = set()
    for name in namespaces(prefix):
        pids = subprocess.run(["ip", "netns", "pids", name], text=True, capture_output=True).stdout
        found |= {(int(pid), started(int(pid))) for pid in pids.split()}
    return found


def alive(processes: set[tuple[int, str | None]]) -> list[int]:
    return [pid for pid, since in processes if since and started(pid) == since]


def busy(run: subprocess.Popen[str]) -> tuple[str, set[tuple[int, str | None]]]:
    """Waits until a run is in the middle: captures, servers and a client are there."""
    prefix = soon(lambda: world_of(run))
    return prefix, soon(lambda: found if len(found := inside(prefix)) >= 11 else None)


ENDS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


@plays
@pytest.mark.parametrize("number", ENDS)
def test_a_run_that_is_ended_takes_its_world_down(run: Run, number: signal.Signals) -> None:
    process = run("blocked-one-client")
    prefix, processes = busy(process)
    worker = int((REGISTRY / prefix).read_text().split()[0])
    os.kill(process.pid, number)
    if number == signal.SIGTERM:
        # Impatient: told again, and the worker too.
        os.kill(worker, number)
        os.kill(worker, number)
    soon(lambda: not namespaces(prefix) and not alive(processes) and not started(worker))
    assert not (REGISTRY / prefix).exists()
    assert process.wait(timeout=60) == ENDS[number]


@plays
def test_a_run_killed_with_its_workers_leaves_no_process_and_the_next_takes_its_world_down(run: Run) -> None:
    process = run("blocked-one-client")
    prefix, processes = busy(process)
    os.killpg(process.pid, signal.SIGKILL)
    soon(lambda: not alive(processes))
    process.wait()
    assert namespaces(prefix)
    other = run("capture-loss")
    soon(lambda: world_of(other))
    assert not namespaces(prefix)
    assert not (REGISTRY / prefix).exists()
    assert other.wait(timeout=120) == 0


@plays
def test_two_runs_of_one_seed_do_not_disturb_each_other(run: Run, tmp_path: Path) -> None:
    both = [run("closed-frontend"), run("closed-frontend")]
    prefixes = {soon(lambda one=one: world_of(one)) for one in both}
    assert len(prefixes) == 2
    assert [one.wait(timeout=120) for one in both] == [0, 0]
    truths = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("run*/5/closed-frontend/truth.json"))]
    assert [told["verdict_counts"] for told in truths] == [{"ok": 30, "closed_port": 12}] * 2
    assert not [name for prefix in prefixes for name in namespaces(prefix)]


def test_the_table_has_a_line_per_run() -> None:
    rows = [Outcome("b", 2, 3.14, {"ok": 1200, "blocked": 3}, 4), Outcome("a", 1, 0, skipped="needs haproxy")]
    assert table(rows).splitlines()[2:] == [
        "| a | 1 | 0.0 | 0 of 0 | needs haproxy |",
        "| b | 2 | 3.1 | 4 of 4 | 3 blocked, 1,200 ok |",
    ]
