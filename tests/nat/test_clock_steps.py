"""Steps of a clock, from its differences to others: one that a point on the way made is not its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flowscope.nat.clock_fit import Stretch
from flowscope.nat.clock_steps import Step, steps

S = 1_000_000_000
BEGIN = -(2**63)


def stretch(from_ns: int, at_ns: int, until_ns: int, offset_ns: int) -> Stretch:
    return Stretch(from_ns, at_ns, until_ns, offset_ns, 0.0, ((float(offset_ns), 0.0),))


def lead(*hops: Sequence[Stretch]) -> Callable[[int, int], int]:
    """How far the clock is ahead, by taking off one difference after the other."""

    def ahead(time_ns: int, upto: int) -> int:
        left = time_ns
        for hop in hops[:upto]:
            left -= max((one for one in hop if one.from_ns <= left), key=lambda one: one.from_ns).offset_ns
        return time_ns - left

    return ahead


def test_a_line_broken_in_two_is_a_step_between_its_parts() -> None:
    hop = (stretch(BEGIN, 0, 10 * S, 2 * S), stretch(14 * S, 14 * S, 20 * S, 5 * S))
    assert steps([hop], lead(hop), 0, 1) == (Step(10 * S, 14 * S, 3 * S),)
    assert steps([hop], lead(hop), 0, 4 * S) == ()


def test_a_step_of_the_point_between_takes_itself_away() -> None:
    own = (stretch(BEGIN, 0, 10 * S, 0), stretch(11 * S, 11 * S, 20 * S, -3 * S))
    # The point between was set 3 s forward when this one's clock showed about 10.5 s.
    between = (stretch(BEGIN, 0, 10 * S, 0), stretch(14 * S, 14 * S, 23 * S, 3 * S))
    assert steps([own, between], lead(own, between), 0, 1_000_000) == ()


def test_a_steady_difference_has_none() -> None:
    hop = (stretch(BEGIN, 0, 10 * S, 2 * S),)
    assert steps([hop, ()], lead(hop), 0, 1) == ()
