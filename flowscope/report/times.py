"""Times as text: RFC 3339 with nanoseconds for programs, short local or UTC times for people."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SECOND = 1_000_000_000


def rfc3339_text(time_ns: int | None) -> str | None:
    """One time, UTC nanoseconds, as RFC 3339 text; None stays None."""
    if time_ns is None:
        return None
    seconds, fraction = divmod(time_ns, SECOND)
    return f"{_moment(seconds, True):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def clock(time_ns: int, utc: bool, digits: int = 6) -> str:
    """The time of day: ``12:00:00.123456``, cut, not rounded."""
    seconds, fraction = divmod(time_ns, SECOND)
    return f"{_moment(seconds, utc):%H:%M:%S}.{f'{fraction:09d}'[:digits]}"


def day(time_ns: int, utc: bool) -> str:
    """The date: ``2026-01-01``."""
    return f"{_moment(time_ns // SECOND, utc):%Y-%m-%d}"


def zone(time_ns: int, utc: bool) -> str:
    """What the times of a report are measured in: ``UTC`` or the local zone's name."""
    return "UTC" if utc else _moment(time_ns // SECOND, False).tzname() or "local time"


def span(duration_ns: int) -> str:
    """A duration for people: ``350 ms``, ``60.1 s``, ``12 min 5 s``, ``3 h 20 min``, ``5 d 2 h``."""
    seconds = duration_ns / SECOND
    if seconds < 1:
        return f"{duration_ns / 1e6:.3g} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def local_zone() -> str:
    """The IANA name of the local zone, UTC when it has none."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        name = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    try:
        return ZoneInfo(name or "UTC").key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"


def _moment(seconds: int, utc: bool) -> datetime:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment if utc else moment.astimezone()
