"""How many probes a balancer takes to decide, read from whom it sends new connections to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.probes.asking import clients, rounds
from tests.rules.scene import judged
from tests.wire import T0, Wire

pytestmark = pytest.mark.usefixtures("core")
SECOND = 1_000_000_000
SCRIPT = ["200", "200", *["503"] * 5, *["200"] * 6]


def health(folder: Path, out_s: float, back_s: float, every_ms: int = 50) -> tuple[str, list[tuple[str, float]]]:
    """How the second member's policy is known, and its changes; it gets no calls from ``out_s`` until ``back_s``."""
    wire, calls = Wire(), 12_500 // every_ms
    rounds(wire, ["200"] * 13, SCRIPT)
    clients(wire, [n % 2 if not out_s < n * every_ms / 1000 < back_s else 0 for n in range(calls)], each_ms=every_ms)
    told = [one for one in judged(wire, folder, None).health if one.timeline[-1].reason and one.failed.height]
    (one,) = told
    return one.series.policy_by, [(c.state, round((c.time_ns - T0) / SECOND, 1)) for c in one.timeline]


@pytest.mark.parametrize("fall", [1, 2, 3])
@pytest.mark.parametrize("rise", [1, 2])
def test_thresholds_show_in_what_a_member_gets(tmp_path: Path, fall: int, rise: int) -> None:
    # The second member is asked 0.3 s after each full second, and answers at once.
    down, up = 1.3 + fall, 6.3 + rise
    by, changes = health(tmp_path, down, up)
    assert by == "traffic"
    assert changes[-2:] == [("down", down), ("up", up)]


def test_a_balancer_that_does_not_act_shows_no_threshold(tmp_path: Path) -> None:
    by, changes = health(tmp_path, 99, 99)
    assert by == "assumed"
    assert changes[-2:] == [("down", 2.3), ("up", 7.3)]


def test_few_connections_show_none(tmp_path: Path) -> None:
    assert health(tmp_path, 3.3, 8.3, every_ms=900)[0] == "assumed"
