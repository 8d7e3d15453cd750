"""Legs and clocks of degraded captures, against what the kernel and the sockets know: one case of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import degraded_paths
from tests.lab.degraded_paths import BLIND, GIVEN, KINDS, SNAP, Run, Worse

#: Full NAT, a destination translator, a balancer that its members call, and an outbound translator.
CASES = ["healthy-full-nat", "healthy-dnat", "hairpin", "snat-exhaustion", "haproxy"]


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_degraded_captures_keep_their_legs_and_clocks(truth: Path, name: str, kind: str, tmp_path: Path) -> None:
    run = Run(truth / "lab" / name)
    for number, worse in enumerate(one for one in run.worse() if one.kind == kind):
        given = (GIVEN, BLIND) if kind == SNAP else (BLIND if number % 2 else GIVEN,)
        for row in run.judge(worse, given, number, tmp_path):
            assert not row.wrong, degraded_paths.table(row)
            assert row.asked or kind == "without"


def test_each_kind_comes_once_and_another_file_with_another_seed() -> None:
    several = [Worse(SNAP), *(Worse(kind, name) for kind in KINDS if kind != SNAP for name in ("a", "b", "c"))]
    first, second = (degraded_paths.one_of_each(several, "healthy", seed) for seed in (1, 2))
    assert [worse.kind for worse, _ in first] == list(KINDS)
    assert all(one.file != other.file for (one, _), (other, _) in zip(first, second, strict=True) if one.kind != SNAP)
    assert all(one != other for (_, one), (_, other) in zip(first, second, strict=True))
