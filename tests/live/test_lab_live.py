"""``flowscope live`` in the lab: faults are told while the traffic runs; the report is that of the written files."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.lab.world import missing
from tests.live.playing import EXE, Played, Watcher, play

CASES = {
    # scenario: (where it is watched, the rule that is told there)
    "closed-port": ({"victim": ["eth0"], "lb": ["out0", "in0"]}, "closed-port"),
    "blocked-in-member": ({"lb": ["in0", "out0"]}, "blocked-traffic"),
    "hairpin-always": ({"lb": ["in0"], "be1": ["eth0"]}, "hairpin-mismatch"),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("FLOWSCOPE_LAB") == "0", reason="FLOWSCOPE_LAB=0"),
]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, core: None) -> Iterator[dict[str, Played]]:
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("live")
    with ThreadPoolExecutor(2) as pool:
        running = {name: pool.submit(play, name, folder / name, at, rule) for name, (at, rule) in CASES.items()}
        yield {name: future.result() for name, future in running.items()}


def watchers(stage: Played) -> list[Watcher]:
    return stage.watchers


@pytest.mark.parametrize("name", CASES)
def test_the_fault_is_told_while_the_traffic_runs(played: dict[str, Played], name: str) -> None:
    stage, rule = played[name], CASES[name][1]
    for watcher in watchers(stage):
        at = watcher.first(rule)
        offline = [line for line in watcher.final if line["type"] == "finding" and line["rule"] == rule]
        assert offline or watcher.node != "lb", "the balancer sees this fault"
        if offline:
            assert at is not None, f"{watcher.node}: {watcher.errors}"
            assert at < stage.stopped_at, f"{watcher.node}: only in the report"


def but_for_this_machine(line: dict[str, Any]) -> dict[str, Any]:
    """A line without what only the machine itself can say: which program listens."""
    if line.get("rule") != "closed-port" or "listening" not in line["facts"]:
        return line
    assert line["cause"].startswith("On this machine nothing listens on ")
    facts = {name: value for name, value in line["facts"].items() if name != "listening"}
    return {
        **line,
        "facts": facts,
        "cause": "No process listens on this address and port (or it listens on 127.0.0.1 only).",
    }


@pytest.mark.parametrize("name", CASES)
def test_the_report_is_that_of_the_written_files(played: dict[str, Played], name: str) -> None:
    for watcher in watchers(played[name]):
        line = [EXE, "analyze", *map(str, watcher.files), "--format", "jsonl"]
        again = subprocess.run(line, capture_output=True, text=True, check=True)
        offline = [json.loads(text) for text in again.stdout.splitlines()]
        assert len(watcher.files) == len(watcher.interfaces)
        # That a link came up is told by the machine; no file holds it.
        final = [line for line in watcher.final if not str(line.get("kind", "")).startswith("interface-")]
        assert [but_for_this_machine(line) for line in final] == offline


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_told_that_the_report_does_not_hold(played: dict[str, Played], name: str) -> None:
    for watcher in watchers(played[name]):
        held = {line["key"] for line in watcher.final if line["type"] == "finding"}
        told: dict[str, str] = {}
        for _, line in watcher.told:
            if line.get("live") and line["type"] == "finding":
                assert line["live"] != "new" or told.get(line["key"]) != "new", "told twice"
                told[line["key"]] = line["live"]
        assert {key for key, change in told.items() if change != "withdrawn"} <= held


def test_files_belong_to_who_runs_it(played: dict[str, Played], tmp_path: Path) -> None:
    owner = tmp_path.stat().st_uid
    assert {path.stat().st_uid for stage in played.values() for one in stage.watchers for path in one.files} == {owner}
