"""How many ports a translator has, read from those it gave: only where it gave them at random.

Ports that are given lowest first say nothing of those that were never needed. Random ones fill their range evenly, so
that the range between the lowest and the highest bounds the whole (the problem of the German tanks).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

#: Fewer ports show no range.
_ENOUGH = 20
#: Standard deviations from the ascents that a random order has, within which an order counts as random.
_DEVIATIONS = 2.5
#: How improbable a range as narrow as the one seen may be when there are as many ports as the bound says.
_IMPROBABLE = 0.05


def most_ports(given: Sequence[int]) -> int | None:
    """The most ports that the translator can have, with 95 % confidence; None when their order is not random.

    Args:
        given: distinct ports, in the order in which they were first given.
    """
    count = len(given)
    if count < _ENOUGH:
        return None
    ascents = sum(one < other for one, other in pairwise(given))
    # Eulerian numbers: the ascents of a random order.
    if abs(ascents - (count - 1) / 2) > _DEVIATIONS * math.sqrt((count + 1) / 12):
        return None
    low, high = 0.0, 1.0
    for _ in range(40):
        share = (low + high) / 2
        # The chance that all of them fall into one stretch of this share of the range.
        chance = count * share ** (count - 1) - (count - 1) * share**count
        low, high = (share, high) if chance < _IMPROBABLE else (low, share)
    return round((max(given) - min(given) + 1) / low)
