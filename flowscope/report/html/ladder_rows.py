"""Which rows a ladder has: tries alike become one, long pauses are said, and of many rows the middle is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from flowscope.report.html.packets import Packet
from flowscope.report.times import SECOND, span

_MOST = 14
"""Rows that a ladder has at most; what lies in the middle is left out, and counted."""
_ALIKE = 3
"""So many tries in a row that met the same are drawn once."""
_PAUSE_NS = SECOND


@dataclass(frozen=True, slots=True)
class Row:
    """What stands in one row: a packet, alone or for the tries after it; or words."""

    packet: Packet | None
    alike: tuple[Packet, ...] = ()
    words: str = ""


def ladder_rows(found: Sequence[Packet], cited: Collection[tuple[int, int]]) -> Iterator[Row]:
    """Tries alike become one row, long pauses are said, and of many rows the middle is left out."""
    grouped: list[list[Packet]] = []
    for packet in found:
        last = grouped[-1][0] if grouped else None
        if last is not None and _signature(last) == _signature(packet):
            grouped[-1].append(packet)
        else:
            grouped.append([packet])
    rows: list[Row] = []
    for some in grouped:
        if len(some) >= _ALIKE:
            rows.append(Row(some[0], tuple(some[1:])))
        else:
            rows += [Row(one) for one in some]
    rows = _folded(rows)
    if len(rows) > _MOST:
        head, tail = _MOST // 2 + 1, _MOST // 2 - 1
        middle = sum(1 + len(one.alike) for one in rows[head:-tail])
        rows = [*rows[:head], Row(None, words=f"{middle} more packets"), *rows[-tail:]]
    before: int | None = None
    for row in rows:
        if row.packet is not None:
            if before is not None and row.packet.at_ns - before >= _PAUSE_NS:
                yield Row(None, words=f"{span(row.packet.at_ns - before)} later")
            before = max(one.at_ns for one in (row.packet, *row.alike))
        yield row


def _folded(rows: list[Row]) -> list[Row]:
    """An exchange that comes three times or more (try, answer, refusal) is drawn once."""
    kinds = [
        (one.packet.half, one.packet.what, *_hops(one.packet)) if one.packet and not one.alike else None for one in rows
    ]
    made: list[Row] = []
    at = 0
    while at < len(rows):
        for period in range(2, 7):
            cycle = kinds[at : at + period]
            again = 1
            while kinds[at + again * period : at + (again + 1) * period] == cycle:
                again += 1
            if again >= _ALIKE and None not in cycle:
                times = [rows[at + period * one].packet for one in range(1, again)]
                began = rows[at].packet
                since = ", ".join(f"{ago(one.at_ns - began.at_ns)}" for one in times[:6] if one and began)
                made += rows[at : at + period]
                made.append(Row(None, words=f"the same {period} packets {again - 1} times more, after {since}"))
                at += again * period
                break
        else:
            made.append(rows[at])
            at += 1
    return made


def _hops(packet: Packet) -> tuple[tuple[object, ...], ...]:
    return tuple((hop.source, hop.target, hop.leg, hop.fate) for hop in packet.hops)


def _signature(packet: Packet) -> tuple[object, ...]:
    return (packet.key, *_hops(packet))


def ago(duration_ns: int) -> str:
    """A duration with the digits that matter: ``18 µs``, ``2.31 ms``, ``1.002 s``."""
    if duration_ns < 1_000_000:
        return f"{duration_ns / 1000:.0f} µs"
    if duration_ns < SECOND:
        return f"{duration_ns / 1e6:.2f} ms"
    return f"{duration_ns / SECOND:.3f} s" if duration_ns < 100 * SECOND else span(duration_ns)
