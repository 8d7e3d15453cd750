"""Probes as text: a table, a strip per member and pool that shows its state over time, every change with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from flowscope.report.layout import columns, counted
from flowscope.report.look import Look
from flowscope.report.paint import painter
from flowscope.report.pool_rows import pool_name, reason
from flowscope.report.probe_rows import endpoint, latency_ms, latency_ranks, member_rates, notes, per_minute, point_name
from flowscope.report.safe_text import safe_line
from flowscope.report.times import clock, zone

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.probes.policies import State
    from flowscope.probes.replay import Change, Health

_STRIP = 60
_SIGNS = {"up": "=", "down": "x", "unknown": "."}
_HEAD = ["member", "name", "prober", "known by", "asks", "policy", "every", "a minute", "sent", "good", "failed",
         "latency", "rank"]  # fmt: skip


def render_probes(analysis: Analysis, out: BinaryIO, look: Look) -> None:
    """Writes the probes of every member."""
    if not analysis.health:
        out.write(_none(analysis))
        return
    paint = painter(look.colour)
    ranks = latency_ranks(analysis)
    rows = [_HEAD, *(_cells(analysis, health, ranks.get(health.series.key)) for health in analysis.health)]
    table = columns(rows, right=frozenset(range(6, 13)))
    begin = min(int(str(health.readings["sent_ns"].min())) for health in analysis.health)
    end = max(health.known_until_ns for health in analysis.health)
    span = f"{clock(begin, look.utc, 3)} to {clock(end, look.utc, 3)} {zone(begin, look.utc)}"
    strips = [[_called(analysis, one), f"|{_strip(one.stretches(), begin, end)}|"] for one in analysis.health]
    pools = [(f"pool {safe_line(pool_name(analysis, one))}", one) for one in analysis.pool_health]
    strips += [[name, f"|{_strip(pool.stretches(), begin, end)}|"] for name, pool in pools]
    lines = [paint(table[0], "heading"), *table[1:], *_totals(analysis), ""]
    lines += [f"{span}: = up, x down, . unknown", *columns(strips), ""]
    for health in analysis.health:
        changes = [(one.time_ns, one.state, one.reason + in_doubt(one, look.utc)) for one in health.timeline]
        lines += _changes(_called(analysis, health), changes, look)
        if not changes and "unknown" in health.readings["result"]:
            lines.append("  its state is not known: what the prober got cannot be read")
        lines += [f"  {safe_line(note)}" for note in notes(analysis, health)]
    for name, pool in pools:
        changes = [(one.time_ns, one.state, reason(analysis, pool, one)) for one in pool.timeline]
        lines += _changes(name, changes, look)
    out.write("\n".join(line.rstrip() for line in lines).encode("utf-8", "replace") + b"\n")


def _none(analysis: Analysis) -> bytes:
    """Why there is nothing to show."""
    text = "No probes were seen. A prober is known by its address, by its request, or from a topology file"
    text += ", or by its even pace towards several members.\n"
    if any(pool.probe for pool in analysis.topology.pools):
        text += (
            "The topology has members probed: a capture filter that leaves the probes out, a capture elsewhere, or "
            "another source or port than given would look like this.\n"
        )
    return text.encode()


def in_doubt(change: Change, utc: bool) -> str:
    """Between which times it was, where several settings of the prober fit what clients got."""
    if change.earliest_ns is None or change.latest_ns is None:
        return ""
    words = f"between {clock(change.earliest_ns, utc, 3)} and {clock(change.latest_ns, utc, 3)}"
    if change.earliest_ns == change.latest_ns:
        words = "then"
    return f" ({words}{'' if change.sure else ', or not at all'}: the thresholds are not known)"


def _totals(analysis: Analysis) -> Iterator[str]:
    """The load that probes are to a member that several probers ask."""
    called = {(one.series.member, one.series.port): endpoint(analysis, one) for one in analysis.health}
    for end, (probers, rate) in member_rates(analysis).items():
        if probers > 1 and rate:
            yield f"{called[end]}: {probers:,} probers, {rate:.3g} probes a minute together"


def _changes(called: str, changes: list[tuple[int, State, str]], look: Look) -> Iterator[str]:
    yield f"{called}: {counted(len(changes), 'change') if changes else '-'}"
    for time, state, why in changes:
        yield f"  {clock(time, look.utc, 3)}  {state}: {why}"


def _cells(analysis: Analysis, health: Health, rank: int | None) -> list[str]:
    one = health.series
    latency, rate = latency_ms(health), per_minute(health)
    name = analysis.topology.name_of(str(analysis.addresses["text"][one.member]), one.port)
    return [
        endpoint(analysis, health),
        safe_line(name or "-"),
        str(analysis.addresses["text"][one.source]),
        one.by,
        one.protocol,
        f"{one.policy} (policy assumed)" if one.policy_by == "assumed" else one.policy,
        f"{one.latest_interval_ns / 1e9:.3g} s",
        "-" if rate is None else f"{rate:.3g}",
        f"{health.sent:,}",
        f"{health.succeeded:,}",
        f"{health.failed.height:,}",
        "-" if latency is None else f"{latency:.3g} ms",
        "-" if rank is None else f"{rank}",
    ]


def _called(analysis: Analysis, health: Health) -> str:
    name = analysis.topology.name_of(str(analysis.addresses["text"][health.series.member]), health.series.port)
    asked = endpoint(analysis, health)
    probers = {one.series.source for one in analysis.health if one.series.member == health.series.member}
    by = f" by {analysis.addresses['text'][health.series.source]}" if len(probers) > 1 else ""
    at = "" if health.series.point is None else f" at {safe_line(point_name(analysis, health.series.point))}"
    return (f"{safe_line(name)} ({asked})" if name else asked) + at + by


def _strip(stretches: Iterable[tuple[int, int, State]], begin: int, end: int) -> str:
    """One sign per slice of time; a slice in which it was down at all shows that."""
    signs = ["."] * _STRIP
    width = max(end - begin, 1)
    for start, stop, state in stretches:
        first, last = (min((time - begin) * _STRIP // width, _STRIP - 1) for time in (start, stop))
        for at in range(max(first, 0), last + 1):
            if state == "down" or signs[at] != _SIGNS["down"]:
                signs[at] = _SIGNS[state]
    return "".join(signs)
