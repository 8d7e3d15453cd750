"""Times as text."""

from __future__ import annotations

import time

import pytest

from flowscope.report import times
from tests.traffic import T0


def test_rfc3339_keeps_nanoseconds() -> None:
    assert times.rfc3339_text(T0 + 1) == "2026-01-01T00:00:00.000000001Z"
    assert times.rfc3339_text(None) is None
    assert times.rfc3339_text(-1) == "1969-12-31T23:59:59.999999999Z"


def test_clock_is_cut_not_rounded() -> None:
    assert times.clock(T0 + 999_999_999, True) == "00:00:00.999999"
    assert times.clock(T0 + 999_999_999, True, 3) == "00:00:00.999"


def test_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert times.clock(T0, False, 0) == "01:00:00."
        assert times.zone(T0, False) == "CET"
        assert times.local_zone() == "Europe/Berlin"
        monkeypatch.setenv("TZ", "Nowhere/At_All")
        assert times.local_zone() == "UTC"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("duration_ns", "expected"),
    [
        (0, "0 ms"),
        (350_000_000, "350 ms"),
        (60_123_000_000, "60.1 s"),
        (725_000_000_000, "12 min 5 s"),
        (12_000_000_000_000, "3 h 20 min"),
        (442_800_000_000_000, "5 d 3 h"),
    ],
)
def test_span(duration_ns: int, expected: str) -> None:
    assert times.span(duration_ns) == expected
