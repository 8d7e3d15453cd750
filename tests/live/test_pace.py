"""When a window is judged again."""

from __future__ import annotations

from flowscope.live.pace import pace_s


def test_looks_take_half_of_a_processor_at_most() -> None:
    for cost_s in (0.01, 0.1, 0.3, 0.7, 3.0):
        for quiet_s in (None, 1.0, 10.0):
            for pending in (False, True):
                assert pace_s(cost_s, quiet_s, pending=pending) >= max(0.3, 2 * cost_s)
    assert pace_s(0.15, None, pending=False) <= 0.45, "what is cheap is looked at often"
    assert pace_s(0.15, 60.0, pending=False) > 2.0, "and seldom when no deadline is left"
