"""Google Cloud health checks: two failures in a row take a backend out, two successes bring it back.

Several probers ask each backend and are counted apart. Status 200 is healthy. When no backend is, a pass-through
balancer spreads new connections over all of them.

cloud.google.com: load-balancing/docs/health-check-concepts.
"""

from __future__ import annotations

from flowscope.nat.topology import Probe
from flowscope.probes.policies.generic import RiseAndFall, thresholds


def policy(probe: Probe | None) -> RiseAndFall:
    """Two and two unless configured."""
    return thresholds(probe, fall=2, rise=2)
