"""Probes as text: a table, a strip per member that shows its state over time, and every change with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from flowscope.report.layout import columns, counted
from flowscope.report.look import Look
from flowscope.report.paint import painter
from flowscope.report.probe_rows import endpoint, latency_ms, per_minute
from flowscope.report.safe_text import safe_line
from flowscope.report.times import SECOND, clock, zone

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.probes.replay import Health

_STRIP = 60
_SIGNS = {"up": "=", "down": "x", "unknown": "."}


def render_probes(analysis: Analysis, out: BinaryIO, look: Look) -> None:
    """Writes the probes of every member."""
    if not analysis.health:
        out.write(b"No probes were seen. A prober is known by its address, by its request, or from a topology file.\n")
        return
    paint = painter(look.colour)
    rows = [["member", "name", "prober", "asks", "policy", "every", "a minute", "sent", "good", "failed", "latency"]]
    rows += [_cells(analysis, health) for health in analysis.health]
    table = columns(rows, right=frozenset({5, 6, 7, 8, 9, 10}))
    begin = min(int(str(health.readings["sent_ns"].min())) for health in analysis.health)
    end = max(health.known_until_ns for health in analysis.health)
    span = f"{clock(begin, look.utc, 3)} to {clock(end, look.utc, 3)} {zone(begin, look.utc)}"
    strips = columns([_called(analysis, health), f"|{_strip(health, begin, end)}|"] for health in analysis.health)
    lines = [paint(table[0], "heading"), *table[1:], "", f"{span}: = up, x down, . unknown", *strips, ""]
    for health in analysis.health:
        changes = counted(len(health.timeline), "change")
        lines.append(
            f"{_called(analysis, health)}: {changes}" if health.timeline else f"{_called(analysis, health)}: -"
        )
        lines += [f"  {clock(one.time_ns, look.utc, 3)}  {one.state}: {one.reason}" for one in health.timeline]
    out.write("\n".join(line.rstrip() for line in lines).encode("utf-8", "replace") + b"\n")


def _cells(analysis: Analysis, health: Health) -> list[str]:
    one = health.series
    latency, rate = latency_ms(health), per_minute(health)
    name = analysis.topology.name_of(str(analysis.addresses["text"][one.member]))
    return [
        endpoint(analysis, health),
        safe_line(name or "-"),
        str(analysis.addresses["text"][one.source]),
        one.protocol,
        one.policy,
        f"{one.interval_ns / SECOND:.3g} s",
        "-" if rate is None else f"{rate:.3g}",
        f"{health.sent:,}",
        f"{health.succeeded:,}",
        f"{health.failed.height:,}",
        "-" if latency is None else f"{latency:.3g} ms",
    ]


def _called(analysis: Analysis, health: Health) -> str:
    name = analysis.topology.name_of(str(analysis.addresses["text"][health.series.member]))
    asked = endpoint(analysis, health)
    probers = {one.series.source for one in analysis.health if one.series.member == health.series.member}
    by = f" by {analysis.addresses['text'][health.series.source]}" if len(probers) > 1 else ""
    return (f"{safe_line(name)} ({asked})" if name else asked) + by


def _strip(health: Health, begin: int, end: int) -> str:
    """One sign per slice of time; a slice in which the member was down at all shows that."""
    signs = ["."] * _STRIP
    width = max(end - begin, 1)
    for start, stop, state in health.stretches():
        first, last = (min((time - begin) * _STRIP // width, _STRIP - 1) for time in (start, stop))
        for at in range(max(first, 0), last + 1):
            if state == "down" or signs[at] != _SIGNS["down"]:
                signs[at] = _SIGNS[state]
    return "".join(signs)
