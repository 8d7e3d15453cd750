"""Causes before effects: the nearest are found, and a crowd costs no more than its number."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from flowscope.nat.proxy_nearest import earlier

MOMENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), max_size=25)


def table(rows: list[tuple[int, int]], name: str) -> pl.DataFrame:
    schema = {"key": pl.Int64, "at_ns": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row").with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(name))


@given(fronts=MOMENTS, backs=MOMENTS)
def test_the_last_one_before_is_always_found(fronts: list[tuple[int, int]], backs: list[tuple[int, int]]) -> None:
    found = set(earlier(table(fronts, "front"), table(backs, "back")).iter_rows())
    for at, (key, time) in enumerate(backs):
        before = [one for one in fronts if one[0] == key and one[1] <= time]
        pairs = {fronts[front] for front, back in found if back == at}
        assert all(pair[0] == key for pair in pairs)
        if before:
            assert max(before) in pairs


def test_a_crowd_of_equals_stays_bounded() -> None:
    moments = [(0, at) for at in range(20_000)]
    assert earlier(table(moments, "front"), table(moments, "back")).height < 20 * 20_000


def test_nothing_pairs_with_nothing() -> None:
    assert earlier(table([], "front"), table([(0, 1)], "back")).height == 0
