"""``flowscope live`` in the lab: faults are told while the traffic runs; the report is that of the written files.

These scenarios stand for the others; ``python -m tests.live.lab_faults`` plays all of them and measures how soon.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.lab.run import obey
from tests.lab.world import missing
from tests.live.lab_faults import watch
from tests.live.outcomes import Outcome

SEED = int(os.environ.get("FLOWSCOPE_LAB_SEED", "1"))
JOBS = 4

CASES = {
    # scenario: where one must be to see a fault of it; what is played sees to it that two points at once do
    "closed-port": {"member", "balancer", "both"},
    "blocked-before-member": {"both"},
    "nsg-deny": {"balancer", "both"},
    "hairpin-always": {"member", "balancer", "both"},
    "asymmetric-return": {"member", "balancer", "both"},
    "snat-exhaustion": {"balancer", "both"},
    "collision-two-clients": {"balancer", "both"},
    "idle-silent": {"balancer", "both"},
    "probes-all-down-closed": {"member", "balancer", "both"},
    "unresponsive-service": {"balancer", "both"},
    "mtu-blackhole-link": {"member", "both"},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("FLOWSCOPE_LAB") == "0", reason="FLOWSCOPE_LAB=0"),
]
each = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, core: None) -> Iterator[dict[str, Outcome]]:
    """What became of each scenario; playing is mostly waiting."""
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("live")
    with ProcessPoolExecutor(JOBS, initializer=obey, initargs=(os.getpid(),)) as pool:
        running = {name: pool.submit(watch, name, SEED, folder) for name in CASES}
        outcomes = {name: future.result() for name, future in running.items()}
    yield {name: outcome for name, outcome in outcomes.items() if outcome is not None}


@each
def test_each_fault_is_told_while_it_is_watched(played: dict[str, Outcome], name: str) -> None:
    outcome = played[name]
    assert not outcome.note, outcome.note
    assert not outcome.missing
    assert not outcome.untold
    told = {row.place for row in outcome.rows if row.expected and row.running and row.verdict != "undecided"}
    assert told >= CASES[name]


@each
def test_the_report_is_that_of_the_written_files(played: dict[str, Outcome], name: str) -> None:
    assert set(played[name].differs) == {"member", "balancer", "both"}
    assert not any(played[name].differs.values()), played[name].differs


@each
def test_what_is_told_is_told_once_and_is_in_the_report(played: dict[str, Outcome], name: str) -> None:
    assert not played[name].wrong


def test_files_belong_to_who_runs_it(played: dict[str, Outcome], tmp_path: Path) -> None:
    kept = [path for outcome in played.values() for heard in outcome.heard for path in heard.files]
    assert {path.stat().st_uid for path in kept} == {tmp_path.stat().st_uid}
    assert len(kept) == (1 + 2 + 5) * len(CASES)
