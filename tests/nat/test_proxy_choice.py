"""From pairs of requests that may be one to those that are: what is not enough for a join is a rival all the same."""

from __future__ import annotations

import polars as pl
import pytest

from flowscope.nat.proxy_choice import chosen


def pairs(*rows: tuple[int, int, float]) -> pl.DataFrame:
    """Pairs (front, back, bits), each on a leg of the same number."""
    table = pl.DataFrame(rows, schema={"front": pl.UInt32, "back": pl.UInt32, "bits": pl.Float64}, orient="row")
    return table.with_columns(
        front_leg=pl.col("front").cast(pl.UInt64), back_leg=pl.col("back").cast(pl.UInt64), front_turn=pl.lit(1),
        back_turn=pl.lit(1), proof=pl.lit(value=False), answered=pl.lit(value=True), one_host=pl.lit(value=False),
        reasons=pl.lit([], pl.List(pl.String)),
    )  # fmt: skip


def believed(*rows: tuple[int, int, float]) -> list[tuple[int, int]]:
    found, _ = chosen(pairs(*rows))
    return sorted(found.select("front", "back").rows())


@pytest.mark.parametrize(("rival", "joined"), [(13.9, []), (11.5, []), (9.0, [(1, 10)])])
def test_a_rival_that_is_not_enough_itself_keeps_a_pair_in_doubt(rival: float, joined: list[tuple[int, int]]) -> None:
    assert believed((1, 10, 14.1), (2, 10, rival)) == joined
    assert believed((1, 10, 14.1), (1, 11, rival)) == joined


def test_a_pair_that_is_not_enough_is_in_no_doubt() -> None:
    _, unsure = chosen(pairs((1, 10, 13.0), (2, 10, 12.9), (3, 11, 15.0), (4, 11, 14.9)))
    assert unsure.to_list() == [11]
