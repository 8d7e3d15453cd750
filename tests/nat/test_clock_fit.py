"""Lines under noisy handshakes: drift, steps, and bounds that hold."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowscope.nat.clock_fit import Sample, fit

SECOND = 1_000_000_000


def samples(dice: random.Random, count: int, span_s: float, offset_ns: int, ppm: float) -> list[Sample]:
    """Handshakes of a clock that is ahead by a line; each off by at most its doubt."""
    found = []
    for _ in range(count):
        at = dice.randrange(int(span_s * SECOND))
        doubt = dice.randrange(20_000, 400_000)
        off = dice.randrange(-doubt // 2, doubt // 2)
        found.append(Sample(at, offset_ns + round(at * ppm * 1e-6) + off, doubt))
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 300),
    span_s=st.floats(0.5, 600),
    offset_ns=st.integers(-(10**12), 10**12),
    ppm=st.floats(-90, 90),
)
def test_the_bound_holds_wherever_it_was_measured(
    seed: int, count: int, span_s: float, offset_ns: int, ppm: float
) -> None:
    measured = samples(random.Random(seed), count, span_s, offset_ns, ppm)
    (line,) = fit(measured)
    for at in (line.at_ns, (line.at_ns + line.until_ns) // 2, line.until_ns):
        said = line.offset_ns + line.rate * (at - line.at_ns)
        assert abs(said - offset_ns - at * ppm * 1e-6) <= line.doubt_at(at)


def test_drift_is_found_and_small_enough_is_none() -> None:
    dice = random.Random(7)
    (drifting,) = fit(samples(dice, 100, 60, 5 * SECOND, 50))
    assert drifting.rate * 1e6 == pytest.approx(50, abs=2)
    (steady,) = fit(samples(dice, 100, 60, 5 * SECOND, 0))
    assert steady.rate == 0.0


@pytest.mark.parametrize("jump_ms", [-800, 5, 3_600_000])
def test_a_step_is_found_where_it_was(jump_ms: int) -> None:
    dice = random.Random(3)
    before, after = samples(dice, 60, 30, 0, 10), samples(dice, 60, 30, jump_ms * 1_000_000, 10)
    moved = [Sample(one.at_ns + 31 * SECOND, one.offset_ns, one.doubt_ns) for one in after]
    first, second = fit(before + moved)
    assert 30 * SECOND <= second.from_ns <= 34 * SECOND
    assert second.offset_ns - first.offset_ns == pytest.approx(jump_ms * 1_000_000, abs=1_500_000)


def test_one_syn_that_was_sent_again_is_no_step() -> None:
    measured = samples(random.Random(5), 80, 60, 0, 0)
    measured[40] = Sample(measured[40].at_ns, SECOND, SECOND)
    assert len(fit(measured)) == 1


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 60), lopsided=st.floats(0, 1), ppm=st.floats(-90, 90))
def test_a_way_there_unlike_the_way_back_stays_within_the_bound(
    seed: int, count: int, lopsided: float, ppm: float
) -> None:
    dice = random.Random(seed)
    measured = []
    for _ in range(count):
        at, doubt = dice.randrange(2 * SECOND), dice.randrange(20_000, 400_000)
        measured.append(Sample(at, round(at * ppm * 1e-6 + doubt * lopsided), doubt))
    (line,) = fit(measured)
    # Where no difference is as possible as the measured one, none is believed: that must hold too.
    for stretch in (line, *([line.none()] if line.may_be_none else [])):
        for at in (stretch.at_ns, stretch.until_ns):
            said = stretch.offset_ns + stretch.rate * (at - stretch.at_ns)
            assert abs(said - at * ppm * 1e-6) <= stretch.doubt_at(at)


def test_many_handshakes_in_a_short_time_leave_little_doubt() -> None:
    dice = random.Random(9)
    measured = []
    for at in range(24):
        off = dice.randrange(-10_000, 10_000)
        measured.append(Sample(at * SECOND // 12, 300 * SECOND + at * 8_333 + off, 20_000))
    (line,) = fit(measured)
    assert line.rate * 1e6 == pytest.approx(100, abs=10)
    assert max(line.doubt_at(line.at_ns), line.doubt_at(line.until_ns)) < 60_000


@pytest.mark.parametrize("count", [3, 6, 40])
def test_one_sample_of_something_else_moves_nothing(count: int) -> None:
    measured = [Sample(at * SECOND // 10, 50_000, 40_000) for at in range(count)]
    (line,) = fit([*measured, Sample(SECOND // 4, 9_000_000, 30_000)])
    assert line.may_be_none is False
    assert abs(line.offset_ns - 50_000) <= line.doubt_at(line.at_ns) < 100_000


def test_handshakes_that_contradict_each_other_widen_the_bound() -> None:
    (line,) = fit([Sample(at * SECOND, off * 1_000_000, 1_000) for at, off in enumerate((0, 5, -5, 10))])
    assert all(line.doubt_at(at * SECOND) >= 1_000_000 for at in range(4))


def test_a_drift_that_slow_ways_could_hide_is_told_all_the_same() -> None:
    # One way or the other is slow, as behind a proxy that is stalled: no drift at all would just be possible.
    measured = []
    for at in range(24):
        there, back = (110_000, 900_000) if at % 2 else (900_000, 110_000)
        offset = 300 * SECOND + at * 8_333 + (there - back) // 2
        measured.append(Sample(at * SECOND // 12, offset, (there + back) // 2))
    (line,) = fit(measured)
    for at in (line.at_ns, line.until_ns):
        said = line.offset_ns + line.rate * (at - line.at_ns)
        assert abs(said - 300 * SECOND - at * 100e-6) < 30_000
