"""Worse captures cost findings; they never confirm a wrong one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.lab import worse
from tests.lab.worse import AS_IS, BLIND, CAPTURES, GIVEN

pytestmark = pytest.mark.usefixtures("core")
SAMPLES = sorted(path.parent.name for path in CAPTURES.glob("*/truth.json"))
SHARED = ["healthy-full-nat", "snat-exhaustion", "hairpin"]


def check(folder: Path, work: Path, points: int | None) -> dict[tuple[str, str], worse.Verdicts]:
    """Plays every change, and insists that nothing wrong was confirmed."""
    verdicts = worse.judge(folder, work, points)
    assert [line for one in verdicts.values() for line in one.wrong] == []
    return verdicts


@pytest.mark.parametrize("name", SAMPLES)
def test_worse_samples_confirm_nothing_wrong(name: str, tmp_path: Path) -> None:
    verdicts = check(CAPTURES / name, tmp_path, 1)
    silent = [
        fault for fault, seen in verdicts[AS_IS, GIVEN].expected.items() if seen["-"] and "(optional)" not in fault
    ]
    assert silent == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_samples_without_any_one_point_confirm_nothing_wrong(name: str, tmp_path: Path) -> None:
    check(CAPTURES / name, tmp_path, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARED)
def test_worse_captures_with_truth_confirm_nothing_wrong(truth: Path, name: str, tmp_path: Path) -> None:
    check(truth / "lab" / name, tmp_path, 1)


def test_the_table_says_how_often_each_verdict_came() -> None:
    verdicts = {
        (AS_IS, GIVEN): worse.Verdicts({"closed-port a": Counter("C")}),
        (AS_IS, BLIND): worse.Verdicts({"closed-port a": Counter("CCL")}),
    }
    (line,) = worse.table("x", verdicts)
    assert line == "| `x` | closed-port a | C / C2 L1 |  |  |  |  |"
