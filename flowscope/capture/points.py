"""Observation points and their names.

A file is one point, named by its file name without suffixes; a capture in which several interfaces carried frames is
one point each, ``file:interface`` (``file:0`` when nameless). ``--point`` names first, then the topology.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from flowscope.capture.rings import point_name
from flowscope.capture.suffixes import label, without_compression

if TYPE_CHECKING:
    from flowscope.capture.file import Capture
    from flowscope.nat.clock_steps import Step
    from flowscope.nat.topology import PointHint, Topology

log = logging.getLogger("flowscope")


_ORIGIN = re.compile(r"captured in (?P<file>.+?)(?:, interface (?P<interface>.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the frames of an evidence file were captured: what a topology says of that file is true of them too."""

    file: str
    """Path or name of the capture, as it was given then."""
    interface: str | None = None
    """Its interface, when the capture names it."""

    @classmethod
    def of(cls, description: str | None) -> Origin | None:
        """The origin that an interface's description tells; None when it tells none."""
        match = _ORIGIN.fullmatch(description or "")
        return cls(match["file"], match["interface"]) if match else None

    def description(self) -> str:
        """What :meth:`of` reads back; for people as well."""
        return f"captured in {self.file}" + (f", interface {self.interface}" if self.interface else "")


@dataclass(frozen=True, slots=True)
class Point:
    """A place where frames were captured."""

    number: int
    """As in the tables."""
    name: str
    """Unique; a label for people: no rule may read it."""
    captures: tuple[int, ...]
    """Ids of the captures that hold its frames."""
    interface: str | None
    """As the capture names it, None when it does not."""
    node: str | None
    """Where it stands, from the topology: a member's name, ``lb``, ``client`` or anything else."""
    link_type: int
    clock_offset_ns: int = 0
    """What to add to its times to get those of the reference point."""
    clock_error_ns: int | None = 0
    """How far off that may be at most; None when nothing is known of its clock against others."""
    clock_skew_ppm: float = 0.0
    """How much slower it runs than the reference."""
    clock_drifts: bool = False
    """No clock that keeps its distance to the reference would show what was seen."""
    clock_steps: tuple[Step, ...] = ()
    """When its clock was set while it captured."""
    index: int = 0
    """Index of the interface in the file where it was first seen."""
    until_ns: int | None = None
    """Until when it was captured, on its own clock, when the file states an end after the last frame."""
    dropped: int = 0
    """Frames that were lost there, as the files say."""
    origin: Origin | None = None
    """The capture and interface that its frames were taken from, when the file is a part of another."""


def name_points(
    points: pl.DataFrame,
    captures: Sequence[Capture],
    named: Sequence[tuple[str, str]] = (),
    topology: Topology | None = None,
) -> list[Point]:
    """The points where frames were seen, with their names.

    Args:
        points: the core's table (columns: ``flowscope.tables.POINTS``).
        captures: what was read.
        named: pairs of (file name or glob, name), from ``--point``.
        topology: its ``[[point]]`` tables name points and say where they stand.

    Returns:
        Points by number.
    """
    rows = points.sort("point").filter(pl.col("frames") > 0).to_dicts()
    holders = {row["point"]: [one for one in captures if row["point"] in one.points] for row in rows}
    places: dict[int, list[int]] = {}
    for row in rows:
        places.setdefault(row["ring"], []).append(row["point"])
    hints = topology.points if topology is not None else ()
    paths = [capture.path for capture in captures]
    origins = {row["point"]: Origin.of(row["description"]) for row in rows}
    sources = [*paths, *(origin.file for origin in origins.values() if origin)]
    for unused in (hint for hint in hints if not any(_belongs(hint, path, sources) for path in sources)):
        log.info("%s: named in the topology, not among the captures", unused.file)
    taken: set[str] = set()
    found = []
    for row in rows:
        held = holders[row["point"]]
        alone = len(places[row["ring"]]) == 1
        interface: str | None = row["name"]
        origin = origins[row["point"]]
        hint, exact = _hint(hints, [capture.path for capture in held], paths, interface)
        base = _option([capture.path for capture in held], named)
        if origin is not None and hint is None and base is None:
            # A part of another capture: what is known of that one is true of this point alone.
            hint, _ = _hint(hints, [origin.file], sources, origin.interface)
            base = _option([origin.file], named)
            if base is None and (hint is None or not hint.name):
                base = interface
            alone, exact = alone or base is not None, True
        if base is None and hint is not None and hint.name:
            base, alone = hint.name, alone or exact
        if base is None:
            base = label(held[0].ring or held[0].path) if held else str(row["ring"])
        name = base if alone else f"{base}:{interface or row['interface']}"
        found.append(
            Point(
                number=row["point"],
                name=_unique(name, taken),
                captures=tuple(capture.id for capture in held),
                interface=interface,
                node=hint.node if hint else None,
                link_type=row["link_type"],
                index=row["interface"],
                until_ns=_stated_end(row),
                dropped=row.get("dropped") or 0,
                origin=origin,
            )
        )
    return found


def _stated_end(row: dict[str, Any]) -> int | None:
    until_ns, last_ns = row.get("until_ns"), row.get("last_ns")
    return until_ns if until_ns is not None and last_ns is not None and until_ns > last_ns else None


def _option(files: Iterable[str], named: Sequence[tuple[str, str]]) -> str | None:
    return next((name for file in files if (name := point_name(file, named)) is not None), None)


def _hint(
    hints: Iterable[PointHint], files: Sequence[str], paths: Sequence[str], interface: str | None
) -> tuple[PointHint | None, bool]:
    """The table that speaks of this point, and whether it names its interface.

    Several tables may name one file: the one with the point's interface wins, then one without, then the first.
    """
    about = [hint for hint in hints if any(_belongs(hint, file, paths) for file in files)]
    exact = [hint for hint in about if interface is not None and hint.interface == interface]
    general = [hint for hint in about if hint.interface is None]
    return next(iter(exact or general or about), None), bool(exact)


def _belongs(hint: PointHint, path: str, paths: Sequence[str]) -> bool:
    """True when a hint is about a capture: by its path as given, else by file name; no compression suffix counts."""
    wanted = _plain(hint.file)
    if any(_plain(one) == wanted for one in paths):
        return _plain(path) == wanted
    return os.path.basename(_plain(path)) == os.path.basename(wanted)


def _plain(path: str) -> str:
    return without_compression(os.path.normpath(path))


def _unique(name: str, taken: set[str]) -> str:
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}#{number}"
    taken.add(unique)
    return unique
