"""Times as people type them."""

from __future__ import annotations

import time

import click
import pytest

from flowscope.cli.times import parse_time
from tests.traffic import T0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00Z", T0),
        ("2026-01-01 00:00:00.5Z", T0 + 500_000_000),
        ("2026-01-01T00:00:00.000000001Z", T0 + 1),
        ("2026-01-01T01:00+01:00", T0),
        ("2026-01-01T00:00:00 UTC", T0),
        ("2026-01-01", T0),
        ("1767225600", T0),
        ("1767225600.25", T0 + 250_000_000),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert parse_time(text, utc=True) == expected


def test_without_a_zone_it_is_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert parse_time("2026-01-01 01:00", utc=False) == T0
        assert parse_time("2026-01-01 00:00Z", utc=False) == T0
        assert parse_time("2026-01-01 00:00", utc=True) == T0
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01", "2026-01-01T25:00", "12:00", "-5", "2026-01-01T00:00:00X"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time: give"):
        parse_time(text, utc=True)
