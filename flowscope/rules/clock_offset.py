"""Two points' clocks differ: the offset was estimated from handshakes that both saw, and corrected.

What it flags
    A point whose clock is ahead of or behind that of the reference point (the one that most others agree with), by more
    than the estimate can be wrong; a point whose clock was set while it captured.

Why it matters
    Times of different captures cannot be compared as they stand: an answer seems to come before its question, and
    delays between two points are off by the offset. flowscope corrects the times it compares; frame times in the
    report stay those of the files.

Evidence
    A SYN that this point saw, with its time there; `offset_ns` is what is added to this point's times, `error_ns` how
    far that can be wrong at most. Where the clock was set, the SYNs on both sides of that: `steps` says how often,
    `step_ns` by how much at the largest step (negative: back), between `step_after_ns` and `step_before_ns` of its own.

Look-alikes
    A long way between two points delays packets in both directions; an offset shifts one direction later and the
    other earlier by as much, so the two can be told apart. Offsets within their own error, or below a millisecond, are
    not reported: that is what hosts with NTP have. Of two points alone nothing tells whose clock was set.

Check next
    `chronyc tracking` or `ntpq -p` on the capturing hosts; the time zone when the offset is a whole number of hours.

Example
    $ cd captures/clock-offset
    $ flowscope analyze . --topology topology.toml --select clock-offset
    F1  INFO  The clock at vm1 is 2.544 s ahead  [clock-offset, confirmed]
        Handshakes seen at vm1 and at other points show its clock 2.544 s ahead of theirs, with an error of at
        most 0.009 ms.

References
    RFC 5905 (NTP), section 8: offset and delay from four times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from flowscope.capture.points import Point
from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.nat.clock_steps import Step
from flowscope.nat.clocks import AGREE_NS
from flowscope.nat.outcomes import PROXIED
from flowscope.rules.evidence import prove
from flowscope.rules.time_order import set_back
from flowscope.window import Window

SEVERITY = Severity.INFO

#: Estimates of which a large part may be error say little.
_SURE_RATIO = 10


def judge(window: Window) -> Iterator[Finding]:
    """One finding per point whose clock was corrected."""
    twofold = [one.name for one in set_back(window)]
    for point in window.points:
        error = point.clock_error_ns
        if twofold:
            # Which of two moments a time means is not known then, and steps that seem to follow from it are none.
            point = replace(point, clock_steps=())
        if error is not None and (_is_off(point, error) or point.clock_steps):
            found = _finding(window, point, error, twofold)
            if found is not None:
                yield found


def _is_off(point: Point, error: int) -> bool:
    return abs(point.clock_offset_ns) >= max(AGREE_NS, error + 1)


def _finding(window: Window, point: Point, error: int, twofold: list[str]) -> Finding | None:
    proof = prove(window, _cited(window, point), ("syn",), lambda event: _note(point, event), each=1)
    if not proof.evidence:
        return None
    off, steps = _is_off(point, error), point.clock_steps
    unsure = [
        "The handshakes took so long that a part of the difference may be delay."
        for size in ([abs(point.clock_offset_ns)] if off else [abs(step.by_ns) for step in steps])
        if size < _SURE_RATIO * error
    ][:1]
    if twofold:
        unsure.append(f"The clock at {' and '.join(twofold)} was set back meanwhile: this may hold for a part only.")
    if steps and not _alone(window, point):
        unsure.append("Only the difference of clocks is seen: another point's clock may have been set instead.")
    skew, offset = point.clock_skew_ppm, point.clock_offset_ns
    said = []
    if off:
        said.append(
            f"Handshakes seen at {point.name} and at other points show its clock {_words(offset)} of theirs, with an "
            f"error of at most {error / 1e6:,.3f} ms."
        )
        said += [f"It runs {abs(skew):.1f} ppm {'slow' if skew > 0 else 'fast'}."] if point.clock_drifts else []
    if steps:
        said.append(f"While it captured, it was set {_set(steps)}{', by handshakes that others saw too' * (not off)}.")
    hours = round(offset / 3.6e12)
    zone = bool(hours) and abs(offset - hours * 3.6e12) < 60e9
    return Finding(
        rule="clock-offset",
        severity=SEVERITY,
        verdict=Verdict.LIKELY if unsure else Verdict.CONFIRMED,
        title=f"The clock at {point.name} "
        + " and ".join(([f"is {_words(offset)}"] if off else []) + ([f"was set {_set(steps)}"] if steps else [])),
        summary=" ".join([*said, "Times were corrected before they were compared."]),
        subject={"point": point.name},
        count=1,
        evidence=proof.evidence,
        flows=proof.flows,
        facts=_facts(point, error),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="A whole number of hours: a clock set to local time." if zone else "The capturing host's clock is off.",
        remedy=(f"Synchronise the clock of the host that captured {point.name} (chrony, NTP, PTP).",),
        caveats=tuple(unsure),
        next_capture=f"tcpdump -ni any -s 96 -w {point.number}.pcap tcp  (after its clock was set)" if unsure else None,
        references=("RFC 5905, section 8",),
    )


def _cited(window: Window, point: Point) -> pl.DataFrame:
    """The first path that the point saw, and those on both sides of each time that its clock was set."""
    here = window.flows.filter(pl.col("point") == point.number, pl.col("fwd_syns") > 0).sort("first_ns")
    sides = [here.head(1)]
    for step in point.clock_steps:
        sides += [
            here.filter(pl.col("first_ns") <= step.after_ns).tail(1),
            here.filter(pl.col("first_ns") >= step.before_ns).head(1),
        ]
    legs = pl.concat(sides)["leg"].implode()
    return window.paths.filter(pl.col("legs").list.eval(pl.element().is_in(legs)).list.any())


def _note(point: Point, event: dict[str, Any]) -> str | None:
    if event["point"] != point.number:
        return None
    since = sum(step.by_ns for step in point.clock_steps if event["time_ns"] >= step.before_ns)
    return f"SYN, {_words(point.clock_offset_ns - since)} there"


def _alone(window: Window, point: Point) -> bool:
    """True when others that saw the same connections agree among themselves that it was this clock that was set."""
    here = window.flows.filter(pl.col("point") == point.number)["leg"].unique().implode()
    passed_through = window.paths.filter(~pl.col("method").is_in(PROXIED)).select("path", leg="legs").explode("leg")
    # Looked up before `over`, which would search all legs anew for each path.
    passed_through = passed_through.with_columns(here=pl.col("leg").is_in(here))
    met = passed_through.filter(pl.col("here").any().over("path"))["leg"].unique().implode()
    points = set(window.flows.filter(pl.col("leg").is_in(met))["point"].unique().to_list()) - {point.number}
    steady = [one for one in window.points if one.number in points and not one.clock_steps]
    return len(steady) > 1 and len(steady) == len(points)


def _facts(point: Point, error: int) -> dict[str, Fact]:
    facts: dict[str, Fact] = {
        "offset_ns": point.clock_offset_ns,
        "error_ns": error,
        "skew_ppm": point.clock_skew_ppm,
    }
    if point.clock_steps:
        largest = max(point.clock_steps, key=lambda step: abs(step.by_ns))
        facts |= {
            "steps": len(point.clock_steps),
            "step_ns": largest.by_ns,
            "step_after_ns": largest.after_ns,
            "step_before_ns": largest.before_ns,
        }
    return facts


def _set(steps: Sequence[Step]) -> str:
    """How often and how far a clock was set."""
    largest = max(steps, key=lambda step: abs(step.by_ns)).by_ns
    how = f"{_size(largest)} {'forward' if largest > 0 else 'back'}"
    return how if len(steps) == 1 else f"{len(steps)} times, by up to {how}"


def _words(offset_ns: int) -> str:
    """The clock of a point to whose times this is added."""
    if abs(offset_ns) < AGREE_NS:
        return "with the others"
    return f"{_size(offset_ns)} {'behind' if offset_ns > 0 else 'ahead'}"


def _size(time_ns: int) -> str:
    size = abs(time_ns)
    return f"{size / 1e9:,.3f} s" if size >= 1e9 else f"{size / 1e6:,.3f} ms"
