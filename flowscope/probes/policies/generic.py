"""So many failures in a row take a member out, so many successes in a row bring it back (HAProxy: ``fall``, ``rise``).

Without a topology HAProxy's defaults, 3 and 2: slow enough to accuse nobody of a decision that another balancer would
not have taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowscope.nat.topology import Probe

if TYPE_CHECKING:
    from flowscope.probes.policies import State


class RiseAndFall:
    """Counts probes in a row.

    Args:
        fall: failures in a row after which a member is down.
        rise: successes in a row after which it is up.
    """

    def __init__(self, fall: int, rise: int) -> None:
        self.state: State = "unknown"
        self._fall, self._rise = fall, rise
        self._good = self._bad = 0

    @property
    def turns(self) -> tuple[int, int]:
        """The thresholds."""
        return self._fall, self._rise

    def add(self, good: bool) -> State:
        """Counts a probe and returns the state after it."""
        self._good, self._bad = (self._good + 1, 0) if good else (0, self._bad + 1)
        # Whatever the state was before the capture, so many in a row settle it.
        if self._good >= self._rise:
            self.state = "up"
        elif self._bad >= self._fall:
            self.state = "down"
        return self.state


def thresholds(probe: Probe | None, fall: int, rise: int) -> RiseAndFall:
    """The topology's thresholds where it gives them, else these."""
    given = probe or Probe()
    return RiseAndFall(given.unhealthy_threshold or fall, given.healthy_threshold or rise)


def policy(probe: Probe | None) -> RiseAndFall:
    """A balancer of which nothing is documented."""
    return thresholds(probe, fall=3, rise=2)
