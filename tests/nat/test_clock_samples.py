"""What handshakes say of two clocks: of very many, the best of each moment."""

from __future__ import annotations

import random

import polars as pl
import pytest

from flowscope.nat.clock_fit import MOST
from flowscope.nat.clock_samples import _samples


@pytest.mark.parametrize("many", [1, MOST, MOST + 1, 7 * MOST + 3])
def test_the_surest_handshake_of_each_moment_stays(many: int) -> None:
    pick = random.Random(many)
    rows = [(pick.randrange(10**9), pick.randrange(-99, 99), pick.randrange(1, 9_999)) for _ in range(many)]
    group = pl.DataFrame(rows, {"at": pl.Int64, "o": pl.Int64, "doubt": pl.Int64}, orient="row")
    kept = [(one.at_ns, -one.offset_ns, one.doubt_ns) for one in _samples(group, "at", -pl.col("o"))]
    ordered, size = sorted(rows, key=lambda row: row[0]), -(-many // MOST)
    moments = [ordered[at : at + size] for at in range(0, many, size)]
    assert kept == [min(moment, key=lambda row: row[2]) for moment in moments]
    assert len(kept) <= MOST
