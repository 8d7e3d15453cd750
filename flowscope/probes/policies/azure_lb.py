"""Azure Load Balancer: one failure takes a member out, one success brings it back.

Any status but 200, a RST, or no answer before the next probe is due marks the member down at once, whatever threshold
is configured; for probes that time out the pages still speak of a number of them. A topology that gives a threshold
gives it for every kind of failure. A member that flaps is held down for longer on purpose: for how long is not
documented, so it is not replayed. With no member up, new flows are dropped and established ones go on.

learn.microsoft.com: load-balancer-custom-probe-overview (2023-10), manage-probes-how-to (2024-12).
"""

from __future__ import annotations

from flowscope.nat.topology import Probe
from flowscope.probes.policies.generic import RiseAndFall, thresholds


def policy(probe: Probe | None) -> RiseAndFall:
    """One failure is enough, and one success."""
    return thresholds(probe, fall=1, rise=1)
