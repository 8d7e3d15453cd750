"""Moments stand where they belong, under round marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowscope.report.html.axis import Axis
from tests.traffic import T0

SECOND = 1_000_000_000


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_order_is_kept_and_nothing_leaves_the_drawing(one: int, other: int) -> None:
    axis = Axis(T0, T0 + 3600 * SECOND, 100, 900)
    assert 100 <= axis.x(T0 + one) <= 900
    assert (axis.x(T0 + one) <= axis.x(T0 + other)) or one > other


@pytest.mark.parametrize("lasts_s", [0, 0.001, 1, 2, 9, 61, 3600, 90_000, 10**7])
def test_marks_are_few_and_lie_inside(lasts_s: float) -> None:
    axis = Axis(T0, T0 + int(lasts_s * SECOND), 0, 1)
    assert 1 <= len(axis.marks()) <= 9
    if lasts_s >= 1:
        assert all(axis.first_ns <= one <= axis.last_ns for one in axis.marks())


def test_marks_are_round() -> None:
    assert all(one % (10 * SECOND) == 0 for one in Axis(T0 + 1, T0 + 60 * SECOND, 0, 1).marks())
