"""A finding's facts for people: the words of the name, and the value with its unit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowscope.findings import Fact

_NANOSECONDS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
_UNITS = {"s": "s", "ms": "ms", "ppm": "ppm", "bytes": "bytes"}


def fact_text(name: str, value: Fact) -> tuple[str, str]:
    """What a fact is, and how much: ``lasted_s`` and 4.05 are ``lasted`` and ``4.05 s``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _words(name), "yes" if value is True else "no" if value is False else str(value)
    if name.endswith(("_rate", "_share")):
        return _words(name), f"{value:.0%}"
    if name.endswith("_ns"):
        return _words(name.removesuffix("_ns")), _duration(value)
    if name.endswith("_per_s"):
        return _words(name.removesuffix("_per_s")), f"{_number(value)} per second"
    stem, _, unit = name.rpartition("_")
    if stem and unit in _UNITS:
        return _words(stem), f"{_number(value)} {_UNITS[unit]}"
    return _words(name), str(value) if name == "status" else _number(value)


def _words(name: str) -> str:
    """``above_75`` is a share of something full."""
    return re.sub(r" (\d+)$", r" \1 %", name.replace("_", " "))


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _duration(value: float) -> str:
    """Nanoseconds in the largest unit of which there is at least one."""
    size, unit = next((one for one in _NANOSECONDS if abs(value) >= one[0]), _NANOSECONDS[-1])
    return f"{value / size:.4g} {unit}"
