"""AWS Network Load Balancer: three failures in a row take a target out, three successes bring it back, from each node.

Every node of the balancer probes by itself, so a target gets more probes than the interval says, and each node's are
counted apart. Status 200 to 399 is healthy. With only unhealthy targets all of them get traffic.

Elastic Load Balancing user guide for network load balancers: target-group-health-checks.
"""

from __future__ import annotations

from flowscope.nat.topology import Probe
from flowscope.probes.policies.generic import RiseAndFall, thresholds


def policy(probe: Probe | None) -> RiseAndFall:
    """Three and three unless configured."""
    return thresholds(probe, fall=3, rise=3)
