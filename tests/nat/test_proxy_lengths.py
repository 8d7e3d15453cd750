"""What a proxy usually adds to a request is read from pairs that nothing else could be."""

from __future__ import annotations

import polars as pl

from flowscope.nat.proxy_lengths import with_length_bits


def bits(*pairs: tuple[int, int, int, int]) -> list[float]:
    """Bits of pairs: front, back, and the lengths of the request on both sides; responses are 100 bytes each."""
    table = pl.DataFrame(
        [(*pair, 100, 100, 1, 2, 3) for pair in pairs],
        schema=[
            *("front", "back", "asked_bytes", "asked_bytes_b", "answer_bytes", "answer_bytes_b"),
            *("src", "dst_end", "src_b"),
        ],
        orient="row",
    )
    return with_length_bits(table, pl.lit(value=False), pl.lit(0.0))["length_bits"].to_list()


CLEAR = [(number, number, 80, 112) for number in range(5)]


def test_flags_the_usual_length_between_two_that_fit() -> None:
    found = bits(*CLEAR, (10, 20, 80, 112), (10, 21, 80, 113))
    assert found == [3.0] * 6 + [-5.0]


def test_spares_a_second_usual_length() -> None:
    found = bits(*CLEAR, *((number, number, 80, 92) for number in (5, 6)), (10, 20, 80, 112), (10, 21, 80, 92))
    assert found[-2:] == [3.0, 3.0]


def test_doubts_what_few_pairs_say() -> None:
    assert bits(*CLEAR[:4], (10, 20, 80, 112), (10, 21, 80, 113)) == [0.0] * 6


def test_a_length_that_is_not_known_says_nothing() -> None:
    assert bits(*CLEAR, (10, 20, 0, 112))[-1] == 1.0


def test_the_usual_is_read_from_the_nearest_where_many_are_open_at_once() -> None:
    rows = [(front, back, 80 + front, 112 + back) for front in range(6) for back in range(6)]
    table = pl.DataFrame(
        [(*row, 100, 100, 1, 2, 3, 0.2 if row[0] == row[1] else 5.0) for row in rows],
        schema=[
            *("front", "back", "asked_bytes", "asked_bytes_b", "answer_bytes", "answer_bytes_b"),
            *("src", "dst_end", "src_b", "passing_ms"),
        ],
        orient="row",
    )
    found = table.with_columns(with_length_bits(table, pl.lit(value=False), pl.col("passing_ms"))["length_bits"])
    assert set(found.filter(pl.col("front") == pl.col("back"))["length_bits"]) == {3.0}
    assert set(found.filter(pl.col("front") != pl.col("back"))["length_bits"]) == {-5.0}
