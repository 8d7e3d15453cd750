"""Times as people type them: RFC 3339, with or without a zone, or seconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click

_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(?:[T _](?P<clock>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9})\d*)?)?"
    r"\s*(?P<zone>Z|z|UTC|[+-]\d\d:?\d\d)?"
)
_EPOCH = re.compile(r"(?P<seconds>\d{1,11})(?:\.(?P<fraction>\d{1,9})\d*)?")


def parse_time(text: str, utc: bool) -> int:
    """A time in nanoseconds since the epoch, UTC.

    Args:
        text: ``2026-01-01T12:00:00.5Z``, ``2026-01-01 12:00``, ``2026-01-01`` or ``1767268800.5``.
        utc: take a time without a zone as UTC, not as local time.

    Raises:
        click.BadParameter: it is none of these.
    """
    text = text.strip()
    if match := _EPOCH.fullmatch(text):
        return int(match["seconds"]) * 1_000_000_000 + _nanoseconds(match["fraction"])
    match = _ISO.fullmatch(text)
    try:
        if not match:
            raise ValueError
        zone = (match["zone"] or "").upper().replace("UTC", "Z").replace("Z", "+00:00")
        moment = datetime.fromisoformat(f"{match['date']}T{match['clock'] or '00:00'}{zone}")
        if moment.tzinfo is None and utc:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp()) * 1_000_000_000 + _nanoseconds(match["fraction"])
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(
            f"{text!r} is no time: give 2026-01-01T12:00:00Z, 2026-01-01 12:00:00.5 or seconds since 1970"
        ) from None


def _nanoseconds(fraction: str | None) -> int:
    return int((fraction or "0").ljust(9, "0"))
