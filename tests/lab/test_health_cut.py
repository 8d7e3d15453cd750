"""Health in cut captures: the same as in whole ones while the status line is kept, else less, and never another."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.lab import health_cut
from tests.lab.worse import CAPTURES

pytestmark = pytest.mark.usefixtures("core")
EXE = str(Path(sys.executable).with_name("flowscope"))
SAMPLES = ("probes-all-down-closed", "probe-blocked-before-member")
SHARED = ("probes-azure", "probe-blocked", "haproxy")


def check(run: Path, snap: int, work: Path) -> None:
    copied = shutil.copytree(run, work / "run")
    for view, found in health_cut.of(EXE, copied, snap, work):
        assert (view, found.wrong, found.unexplained) == (view, (), ())
        assert snap < health_cut.SNAP or not found.lost, view


@pytest.mark.parametrize("snap", [60, health_cut.SNAP])
@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str, snap: int, tmp_path: Path) -> None:
    check(CAPTURES / name, snap, tmp_path)


@pytest.mark.parametrize("name", SHARED)
def test_captures_with_truth(truth: Path, name: str, tmp_path: Path) -> None:
    check(truth / "lab" / name, health_cut.SNAP, tmp_path)
