"""A probe that no member's point saw belongs to the one series that lacks it."""

from __future__ import annotations

from flowscope.probes.rhythm import missing_beats

S = 1_000_000_000
WHOLE = [at * S for at in range(12)]
HOLES = [at * S + S // 3 for at in range(12) if not 4 <= at < 8]
LOST = [at * S + S // 3 for at in range(4, 8)]


def test_holes_are_filled_by_what_was_due_then() -> None:
    assert missing_beats([WHOLE, HOLES], LOST) == dict.fromkeys(LOST, 1)


def test_what_is_off_every_beat_is_nobodys() -> None:
    assert missing_beats([WHOLE, HOLES], [5 * S + S * 2 // 3]) == {}


def test_what_two_series_lack_is_nobodys() -> None:
    assert missing_beats([HOLES, HOLES], LOST) == {}


def test_a_series_without_a_beat_lacks_nothing() -> None:
    assert missing_beats([[0, S, 7 * S, 8 * S, 30 * S]], [2 * S]) == {}
    assert missing_beats([[0, S, 3 * S]], [2 * S]) == {}


def test_a_beat_is_not_carried_on_for_ever() -> None:
    assert missing_beats([WHOLE], [40 * S]) == {}
