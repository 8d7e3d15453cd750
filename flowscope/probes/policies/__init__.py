"""How a balancer decides from probes whether a member is up: one file per policy, this index.

A policy is told the probes one by one and says what it thinks of the member: ``up``, ``down``, or ``unknown`` while
what was captured fits both, for a capture begins in the middle of a history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from flowscope.nat.topology import Probe
from flowscope.probes.policies import aws_nlb, azure_lb, front_door, gcp, generic

State = Literal["up", "down", "unknown"]


class Policy(Protocol):
    """What a balancer thinks of one member, as seen by one prober."""

    state: State

    @property
    def turns(self) -> tuple[int, int]:
        """Failures in a row that take out a member of which all probes were good, and successes that bring one back."""

    def add(self, good: bool) -> State:
        """Counts a probe and returns the state after it."""


POLICIES: dict[str, Callable[[Probe | None], Policy]] = {
    "azure-lb": azure_lb.policy,
    "front-door": front_door.policy,
    "aws-nlb": aws_nlb.policy,
    "gcp": gcp.policy,
    "generic": generic.policy,
}
"""A fresh policy by name, with the settings of a topology, else the documented ones."""

FAILS_OPEN = {"azure-lb": False, "front-door": True, "aws-nlb": True, "gcp": True}
"""What is documented for a pool without any member that is up; of a generic balancer nothing is."""
