"""Which captures are one observation point, written file after file.

Files are one ring when ``--point 'ring_*=NAME'`` says so, or when their names follow the ring patterns of dumpcap or
tcpdump, their link types are equal and their times do not overlap. The last is only known once they were read:
:func:`overlapping` tells.
"""

from __future__ import annotations

import fnmatch
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowscope.capture.suffixes import label, ring_of, without_compression


@dataclass(frozen=True, slots=True)
class Peek:
    """What the first frame of a capture says; format is None when the file is no capture."""

    format: str | None
    link_types: tuple[int, ...] = ()
    first_ns: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Ring:
    """Captures that are one place, in the order they were written.

    ``captures`` are positions in the list of captures; ``given`` is true when the user named the ring.
    """

    name: str
    captures: tuple[int, ...]
    given: bool = False


def point_name(path: str, points: Iterable[tuple[str, str]]) -> str | None:
    """The name that ``--point`` gives to a capture: by its path as given, else by its file name.

    A compression suffix does not count. The last option that fits wins.
    """
    plain, named = without_compression(path), None
    for pattern, name in points:
        wanted = without_compression(pattern)
        if fnmatch.fnmatchcase(plain, wanted) or fnmatch.fnmatchcase(os.path.basename(plain), wanted):
            named = name
    return named


def plan_rings(
    paths: Sequence[str],
    peeks: Sequence[Peek | None],
    points: Sequence[tuple[str, str]],
    apart: frozenset[str] = frozenset(),
) -> list[Ring]:
    """Sorts captures into rings; a capture on its own is a ring of one.

    Args:
        paths: captures in the order given.
        peeks: what is known of each; None for input that cannot be read twice.
        points: the ``--point`` options.
        apart: names of rings that turned out to be none.

    Returns:
        Rings by their first capture in the order given; within a ring by time.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for at, (path, peek) in enumerate(zip(paths, peeks, strict=True)):
        named = point_name(path, points)
        ring = ring_of(path)
        if named is not None:
            key: tuple[object, ...] = ("given", named)
        elif peek is not None and peek.first_ns is not None and ring is not None and ring not in apart:
            key = ("pattern", ring, peek.link_types)
        else:
            key = ("alone", at)
        groups.setdefault(key, []).append(at)
    rings = []
    for key, members in groups.items():
        if key[0] == "given":
            rings.append(Ring(str(key[1]), _by_time(members, peeks), True))
        elif len(members) > 1:
            # The key, not the label: two folders may hold rings of the same name, and `apart` must tell them apart.
            rings.append(Ring(str(key[1]), _by_time(members, peeks)))
        else:
            rings.append(Ring(label(paths[members[0]]), tuple(members)))
    return rings


def overlapping(ring: Ring, spans: Sequence[tuple[int, int] | None]) -> bool:
    """True when two captures of a ring cover the same time, so that they cannot be one file after the other.

    Args:
        ring: the ring, in order of time.
        spans: first and last time of each capture, UTC nanoseconds; None for one without frames.
    """
    if ring.given:
        return False
    known = [span for at in ring.captures if (span := spans[at]) is not None]
    return any(before[1] > after[0] for before, after in itertools.pairwise(known))


def _by_time(members: list[int], peeks: Sequence[Peek | None]) -> tuple[int, ...]:
    def first(at: int) -> int:
        peek = peeks[at]
        return peek.first_ns or 0 if peek is not None else 0

    return tuple(sorted(members, key=first))
