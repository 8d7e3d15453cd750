"""Frames read again from the captures they were analysed from, as they stand there.

A plain pcap file is read from the first wanted record on, everything else in one second pass. When a file is not the
one that was analysed any more, nothing is read: wrong evidence is worse than none.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from flowscope.capture.core import new_selection
from flowscope.capture.file import file_state
from flowscope.errors import CaptureError
from flowscope.tables import EVENT_KINDS

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.capture.core import Selection
    from flowscope.capture.file import Capture
    from flowscope.capture.points import Point

_CHUNK = 1 << 20
_PCAP_HEADER = 24
_ALL = (1 << 63) - 1
#: A read from the middle of a file pays when this much is left out.
_WORTH_SKIPPING = 1 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured frame."""

    capture: int
    number: int
    """From 1 within its file."""
    point: int
    time_ns: int
    """As captured."""
    wire_length: int
    data: bytes
    flows: tuple[int, ...] = ()
    """Of the wanted flows, those it belongs to."""


@dataclass(slots=True)
class Wanted:
    """What is to be read again."""

    flows: set[int] = field(default_factory=set)
    frames: set[tuple[int, int]] = field(default_factory=set)
    """Capture and frame number."""
    everything: bool = False
    """All frames that were analysed."""
    most: dict[int, int] = field(default_factory=dict)
    """How many frames of a flow, when not all of them."""


def read_frames(analysis: Analysis, wanted: Wanted) -> Iterator[Frame]:
    """The wanted frames of all captures by time; those of one file or ring keep the order they have there.

    Raises:
        CaptureError: a capture has changed since it was analysed, is gone, or was a pipe that nobody kept.
    """
    rings: dict[str | int, list[Capture]] = {}
    for capture in analysis.captures:
        rings.setdefault(capture.id if capture.ring is None else capture.ring, []).append(capture)
    streams = [_stream(analysis, sorted(ring, key=_began), wanted) for ring in rings.values()]
    return heapq.merge(*streams, key=lambda frame: frame.time_ns)


def _stream(analysis: Analysis, captures: Sequence[Capture], wanted: Wanted) -> Iterator[Frame]:
    """The wanted frames of captures that follow one another."""
    for capture in captures:
        flows = _flows_in(analysis, capture, wanted.flows)
        numbers = sorted(number for at, number in wanted.frames if at == capture.id)
        if capture.format is not None and (flows.height or numbers or wanted.everything):
            yield from _read(analysis, capture, flows, numbers, wanted)


def _began(capture: Capture) -> tuple[int, int]:
    return capture.first_ns or 0, capture.id


def unchanged(capture: Capture) -> str:
    """The file that holds a capture's bytes, when they are still those that were analysed.

    Raises:
        CaptureError: they are not, or there is no such file.
    """
    if capture.bytes_at is None:
        raise CaptureError(f"{capture.path}: its frames are needed again, and nobody kept them: give a file")
    if capture.path == "-":
        return capture.bytes_at
    try:
        now = file_state(capture.bytes_at)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CaptureError(f"{capture.path}: cannot be read again ({reason}): its frames are needed") from None
    if now is None or capture.state is None:
        raise CaptureError(f"{capture.path}: is no regular file and cannot be read twice: pipe it in as -")
    if now != capture.state:
        raise CaptureError(f"{capture.path}: has changed since it was analysed: analyse a file that is complete")
    return capture.bytes_at


def _read(
    analysis: Analysis, capture: Capture, flows: pl.DataFrame, numbers: list[int], wanted: Wanted
) -> Iterator[Frame]:
    selection = new_selection(
        flows=_stretches(analysis, capture, flows, wanted.most),
        frames=numbers,
        everything=wanted.everything,
        settings=analysis.settings,
    )
    points = [point for point in analysis.points if point.number in capture.points]
    places: list[Point | None] = []
    flow_numbers, flow_points = flows["flow"].to_list(), flows["point"].to_list()
    listed = set(numbers)
    settings = analysis.settings
    first_ns = -_ALL if settings.from_ns is None else settings.from_ns
    last_ns = _ALL if settings.to_ns is None else settings.to_ns
    only = None if capture.only is None else frozenset(capture.only)
    path = unchanged(capture)
    for rows in _fed(selection, path, _start(capture, flows, numbers, wanted)):
        places += [
            _point_of(points, at, selection.interfaces[at]) for at in range(len(places), len(selection.interfaces))
        ]
        for number, time_ns, wire_length, interface, stretches, data in rows:
            place = places[interface]
            if place is None or (only is not None and number not in only) or not first_ns <= time_ns <= last_ns:
                continue
            # The tuple may be seen at several points of the file; the flow is at one.
            own = tuple(flow_numbers[at] for at in stretches if flow_points[at] == place.number)
            if own or wanted.everything or number in listed:
                yield Frame(capture.id, number, place.number, time_ns, wire_length, data, own)
    unchanged(capture)


def _fed(selection: Selection, path: str, start: tuple[int, int] | None) -> Iterator[list[tuple[int, int, int, int, list[int], bytes]]]:  # fmt: skip # noqa: E501
    """The pieces of a file, as the frames they complete."""
    with open(path, "rb", buffering=0) as file:
        if start is not None:
            yield selection.feed(file.read(_PCAP_HEADER))
            if selection.skip_to(*start):
                file.seek(start[1])
        while not selection.done and (data := file.read(_CHUNK)):
            yield selection.feed(data)
    yield selection.finish()


def _start(capture: Capture, flows: pl.DataFrame, numbers: Sequence[int], wanted: Wanted) -> tuple[int, int] | None:
    """Frame and offset of the first wanted record of a plain pcap file, when reading from there pays."""
    if capture.format != "pcap" or capture.compression is not None or wanted.everything or not flows.height:
        return None
    first = flows.sort("first_frame").row(0, named=True)
    if first["first_capture"] != capture.id or (numbers and numbers[0] < first["first_frame"]):
        return None
    return (first["first_frame"], first["first_offset"]) if first["first_offset"] > _WORTH_SKIPPING else None


def _flows_in(analysis: Analysis, capture: Capture, flows: Iterable[int]) -> pl.DataFrame:
    """Those of the flows that may have frames in a capture: their point is there, and their time."""
    rows = analysis.flows[sorted(flows)]
    return rows.filter(pl.col("point").is_in(list(capture.points)))


def _stretches(
    analysis: Analysis, capture: Capture, flows: pl.DataFrame, most: Mapping[int, int]
) -> list[tuple[bytes, int, bytes, int, int, int, int, int]]:
    order = _ring_order(analysis, capture)
    errors = _last_errors(analysis, capture, flows)
    texts = analysis.addresses.sort("address").select("high", "low").rows()
    found = []
    for row in flows.iter_rows(named=True):
        # Files of a ring follow one another: a flow may have begun in an earlier one, or go on in a later.
        here = order[capture.id]
        first = row["first_frame"] if row["first_capture"] == capture.id else 1
        last = row["last_frame"] if row["last_capture"] == capture.id else _ALL
        last = max(last, errors.get(row["flow"], 0))
        if order.get(row["first_capture"], here) > here or order.get(row["last_capture"], here) < here:
            first, last = 1, 0
        src, dst = (_packed(*texts[row[side]]) for side in ("src", "dst"))
        found.append(
            (src, row["src_port"], dst, row["dst_port"], row["protocol"], first, last, most.get(row["flow"], _ALL))
        )
    return found


def _last_errors(analysis: Analysis, capture: Capture, flows: pl.DataFrame) -> dict[int, int]:
    """Frame of the last ICMP error about each flow: it may come after the flow's own last packet."""
    about = analysis.events.filter(
        pl.col("kind") == EVENT_KINDS.index("icmp-error"),
        pl.col("capture") == capture.id,
        pl.col("flow").is_in(flows["flow"].implode()),
    )
    return dict(about.group_by("flow").agg(pl.col("frame").max()).iter_rows())


def _packed(high: int, low: int) -> bytes:
    return high.to_bytes(8, "big") + low.to_bytes(8, "big")


def _ring_order(analysis: Analysis, capture: Capture) -> Mapping[int, int]:
    """Position in time of the captures that share a point with this one."""
    ring = [one for one in analysis.captures if set(one.points) & set(capture.points)]
    ordered = sorted(ring, key=_began)
    return {one.id: at for at, one in enumerate(ordered)}


def _point_of(points: Sequence[Point], index: int, interface: tuple[str | None, int, int]) -> Point | None:
    """The point of an interface of the file: same name (or position, when nameless) and link type."""
    name, link_type, _ = interface
    for point in points:
        if point.link_type == link_type and point.interface == name and (name is not None or point.index == index):
            return point
    return None
