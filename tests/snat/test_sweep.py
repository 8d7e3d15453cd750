"""The sweep against a reference that counts second by second, on pools that a translator would have made."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from flowscope.snat.sweep import cut_at_reuse, level_at, levels, peaks, time_above

SECOND = 1_000_000_000
END = 400


@dataclass(frozen=True)
class Use:
    """A port taken from one second up to another, by one connection."""

    pool: int
    port: int | None
    start: int
    close: int
    hold: int

    @property
    def release(self) -> int:
        return self.close + self.hold


def table(uses: list[Use]) -> pl.DataFrame:
    return pl.DataFrame(
        [(use.pool, use.port, use.start * SECOND, use.release * SECOND) for use in uses],
        schema={"pool": pl.UInt32, "snat_port": pl.UInt16, "from_ns": pl.Int64, "until_ns": pl.Int64},
        orient="row",
    )


def count(uses: list[Use], pool: int, second: int) -> int:
    return sum(use.pool == pool and use.start <= second < use.release for use in uses)


USES = st.lists(
    st.builds(
        Use, st.integers(0, 2), st.none(), st.integers(0, 60), st.integers(0, 60), st.integers(0, 30)
    ),
    max_size=40,
)  # fmt: skip


@given(USES)
@settings(max_examples=150, deadline=None)
def test_levels_peaks_and_times_are_those_of_counting(uses: list[Use]) -> None:
    swept = levels(table(uses))
    found = {row["pool"]: row for row in peaks(swept).iter_rows(named=True)}
    available = pl.DataFrame({"pool": [0, 1, 2], "ports_available": [4, 4, 4]}, schema_overrides={"pool": pl.UInt32})
    above = {row["pool"]: row for row in time_above(swept, available).iter_rows(named=True)}
    moments = pl.DataFrame(
        [(pool, second * SECOND) for pool in range(3) for second in range(100)],
        schema={"pool": pl.UInt32, "at_ns": pl.Int64},
        orient="row",
    )
    at = dict(zip(moments.iter_rows(), level_at(swept, moments).sort("pool", "at_ns")["level"], strict=True))
    for pool in range(3):
        counted = [count(uses, pool, second) for second in range(100)]
        assert [at[pool, second * SECOND] for second in range(100)] == counted
        assert (found[pool]["peak"] if pool in found else 0) == max(counted)
        if max(counted):
            assert found[pool]["peak_ns"] == counted.index(max(counted)) * SECOND
            for mark in (50, 75, 90, 100):
                assert round(above[pool][f"above_{mark}_s"], 6) == sum(level * 100 >= 4 * mark for level in counted)


@dataclass(frozen=True)
class Wish:
    """A connection that somebody wants to open, and for how long."""

    start: int
    lasts: int


@given(
    st.lists(st.builds(Wish, st.integers(0, 100), st.integers(1, 40)), max_size=60),
    st.integers(1, 8),
    st.integers(0, 30),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_a_translator_s_pool_is_full_whenever_it_refuses(wishes: list[Wish], ports: int, hold: int, last: bool) -> None:
    taken, refused = simulated(sorted(wishes, key=lambda one: one.start), ports, hold, last)
    cut = cut_at_reuse(table(taken))
    # A port that was given again had been released: cutting there takes nothing away.
    assert (
        cut.sort("from_ns", "snat_port")["until_ns"].to_list()
        == table(taken).sort("from_ns", "snat_port")["until_ns"].to_list()
    )
    swept = levels(cut)
    peak = max((count(taken, 0, second) for second in range(END)), default=0)
    assert sum(peaks(swept)["peak"]) == peak <= ports
    moments = pl.DataFrame({"pool": [0] * len(refused), "at_ns": [second * SECOND for second in refused]},
                           schema={"pool": pl.UInt32, "at_ns": pl.Int64})  # fmt: skip
    assert level_at(swept, moments)["level"].to_list() == [ports] * len(refused)


@given(st.lists(st.builds(Wish, st.integers(0, 100), st.integers(1, 40)), max_size=60), st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_a_hold_that_is_assumed_too_long_never_counts_more_ports_than_there_are(wishes: list[Wish], ports: int) -> None:
    taken, _ = simulated(sorted(wishes, key=lambda one: one.start), ports, 5, False)
    longer = [Use(0, use.port, use.start, use.close, 200) for use in taken]
    assert sum(peaks(levels(cut_at_reuse(table(longer))))["peak"]) <= ports


def simulated(wishes: list[Wish], ports: int, hold: int, last: bool) -> tuple[list[Use], list[int]]:
    """What a translator with so many ports gives and refuses: the lowest port that is free, or the highest."""
    free_at = dict.fromkeys(range(1, ports + 1), 0)
    taken, refused = [], []
    for wish in wishes:
        free = [port for port, second in free_at.items() if second <= wish.start]
        if not free:
            refused.append(wish.start)
            continue
        port = max(free) if last else min(free)
        use = Use(0, port, wish.start, wish.start + wish.lasts, hold)
        free_at[port] = use.release
        taken.append(use)
    return taken, refused


def test_a_port_taken_again_the_instant_it_is_released_is_one_port() -> None:
    uses = [Use(0, 1, 0, 5, 0), Use(0, 1, 5, 9, 0)]
    assert peaks(levels(table(uses)))["peak"].to_list() == [1]


def test_nothing_in_use() -> None:
    assert levels(table([])).is_empty()
    assert peaks(levels(table([]))).is_empty()
