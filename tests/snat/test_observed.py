"""How many ports there are: bounded where they were given at random, not said where they were given in order."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from flowscope.snat.observed import most_ports


def test_the_bound_holds_as_often_as_it_says() -> None:
    rng = random.Random(7)
    held = 0
    for _ in range(400):
        ports = rng.randint(40, 2000)
        bound = most_ports(rng.sample(range(1024, 1024 + ports), 30))
        held += bound is None or bound >= ports
    # Distinct draws lie wider apart than independent ones, so the bound errs on the safe side.
    assert held >= 0.95 * 400


def test_the_bound_is_near_when_most_ports_were_seen() -> None:
    rng = random.Random(8)
    for _ in range(50):
        bound = most_ports(rng.sample(range(5000, 5048), 42))
        assert bound is None or 42 <= bound <= 56


@given(st.integers(1024, 60000), st.integers(20, 200), st.booleans())
@settings(max_examples=50, deadline=None)
def test_ports_in_order_say_nothing(first: int, count: int, downwards: bool) -> None:
    ports = range(first, first + count)
    assert most_ports(ports[::-1] if downwards else ports) is None


def test_few_ports_say_nothing() -> None:
    assert most_ports([7, 3, 9, 1, 8]) is None
