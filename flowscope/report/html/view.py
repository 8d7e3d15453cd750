"""What the sections of the page have in common: names for numbers, and times as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from flowscope.report.finding_text import capture_names
from flowscope.report.times import clock, day

if TYPE_CHECKING:
    from flowscope.analysis import Analysis


@dataclass
class View:
    """An analysis as the page shows it; all times are UTC, so that the page is the same wherever it is made."""

    analysis: Analysis
    evidence: Mapping[str, str]
    """Id of a finding -> relative path of its evidence file."""

    @cached_property
    def _texts(self) -> list[str]:
        return self.analysis.addresses.sort("address")["text"].to_list()

    @cached_property
    def captures(self) -> dict[int, str]:
        """Short names of the captures by id."""
        return capture_names(self.analysis.captures)[1]

    @cached_property
    def points(self) -> dict[int, str]:
        """Names of the points by number."""
        return {point.number: point.name for point in self.analysis.points}

    def address(self, number: int) -> str:
        """The text of an address number."""
        return self._texts[number]

    def name(self, number: int, port: int | None = None) -> str:
        """The topology's name of an address (of what serves the port, where several do), else empty."""
        return self.analysis.topology.name_of(self.address(number), port) or ""

    def host(self, number: int) -> str:
        """The topology's name of an address, else the address."""
        return self.name(number) or self.address(number)

    def endpoint(self, number: int, port: int | None) -> str:
        """``10.0.0.4:8080`` or ``[2001:db8::1]:443``; the address alone without a port."""
        text = self.address(number)
        if port is None:
            return text
        return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"

    @cached_property
    def span_ns(self) -> tuple[int, int] | None:
        """First and last frame of all captures; None when there is none."""
        firsts = [one.first_ns for one in self.analysis.captures if one.first_ns is not None]
        lasts = [one.last_ns for one in self.analysis.captures if one.last_ns is not None]
        return (min(firsts), max(lasts)) if firsts and lasts else None

    def moment(self, time_ns: int, digits: int = 6) -> str:
        """A time of day; with its date when the captures span more than one."""
        time = clock(time_ns, True, digits)
        if self.span_ns is not None and day(self.span_ns[0], True) != day(self.span_ns[1], True):
            return f"{day(time_ns, True)} {time}"
        return time
