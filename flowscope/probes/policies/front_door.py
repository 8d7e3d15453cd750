"""Azure Front Door: a member is up when enough of its last probes were good.

Disabled members are out first. Then at least SuccessfulSamplesRequired of the last SampleSize probes must have
succeeded, counted by each edge for itself. Latency decides among the members that are up. When none is, all are used in
turn, until one recovers.

Azure Front Door health probes (2018-09-10). Defaults: New-AzFrontDoorLoadBalancingSettingObject, 2 of 4.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from flowscope.nat.topology import Probe

if TYPE_CHECKING:
    from flowscope.probes.policies import State


class Samples:
    """Counts the good ones among the last probes.

    Args:
        size: probes that count.
        needed: how many of them must be good.
    """

    def __init__(self, size: int, needed: int) -> None:
        self.state: State = "unknown"
        self._last: deque[bool] = deque(maxlen=size)
        self._size, self._needed = size, needed

    @property
    def turns(self) -> tuple[int, int]:
        """Bad ones that leave too few good ones among the last, and good ones that are enough."""
        return self._size - self._needed + 1, self._needed

    def add(self, good: bool) -> State:
        """Counts a probe and returns the state after it."""
        self._last.append(good)
        best = sum(self._last) + self._size - len(self._last)
        # Probes from before the capture may have gone either way.
        self.state = "up" if sum(self._last) >= self._needed else "down" if best < self._needed else "unknown"
        return self.state


def policy(probe: Probe | None) -> Samples:
    """Two of four unless configured; more good samples than there are samples cannot be asked for."""
    given = probe or Probe()
    size = given.sample_size or 4
    return Samples(size, min(given.successful_samples or 2, size))
