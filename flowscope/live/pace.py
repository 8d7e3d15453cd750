"""When the window is judged again: soon while something happens, and never on more than half of a processor."""

from __future__ import annotations

#: Cheap looks follow one another this closely. A second one confirms what the first one found; what is on its way to
#: another point is there by then, since a capture program hands it over within a quarter of a second.
_AGAIN_S = 0.3
_HALF_A_SECOND = 0.5
#: Deadlines pass within this time after the last packet, most of them soon; later they are looked for less often.
_DEADLINES_S, _SOON_S = 15.0, 6.0
#: The longest time between two looks at a window that nothing is added to.
QUIET_S = 2.0


def pace_s(cost_s: float, quiet_s: float | None, *, pending: bool) -> float:
    """Seconds between the beginnings of two looks, so that at most half of a processor is spent on judging.

    A busy machine stretches a look; the next one then follows sooner after its end.

    Args:
        cost_s: processor time of the last look.
        quiet_s: for how long nothing was read; None when something was since the last look.
        pending: a finding waits to be confirmed.
    """
    if pending:
        return max(_AGAIN_S, 2 * cost_s)
    idle_s = max(_AGAIN_S - cost_s, min(2 * cost_s, _HALF_A_SECOND), cost_s)
    if quiet_s is not None and quiet_s >= _DEADLINES_S:
        idle_s = max(idle_s, QUIET_S)
    elif quiet_s is not None and quiet_s >= _SOON_S:
        idle_s = max(idle_s, min(4 * cost_s, QUIET_S))
    return cost_s + idle_s
