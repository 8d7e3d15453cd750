"""Two points' clocks differ: the offset was estimated from handshakes that both saw, and corrected.

What it flags
    A point whose clock is ahead of or behind that of the reference point (the one with most flows), by more than the
    estimate can be wrong.

Why it matters
    Times of different captures cannot be compared as they stand: an answer seems to come before its question, and
    delays between two points are off by the offset. flowscope corrects the times it compares; frame times in the
    report stay those of the files.

Evidence
    A SYN that this point saw, with its time there; `offset_ns` is what is added to this point's times, `error_ns` how
    far that can be wrong at most.

Look-alikes
    A long way between two points delays packets in both directions; an offset shifts one direction later and the
    other earlier by as much, so the two can be told apart. Offsets within their own error, or below a millisecond, are
    not reported: that is what hosts with NTP have.

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

from collections.abc import Iterator

import polars as pl

from flowscope.capture.points import Point
from flowscope.findings import Evidence, Fact, Finding, Severity, Verdict
from flowscope.nat.clocks import AGREE_NS
from flowscope.rules.evidence import prove
from flowscope.window import Window

SEVERITY = Severity.INFO

#: Estimates of which a large part may be error say little.
_SURE_RATIO = 10


def judge(window: Window) -> Iterator[Finding]:
    """One finding per point whose clock was corrected."""
    for point in window.points:
        offset, error = abs(point.clock_offset_ns), point.clock_error_ns
        if error is not None and offset >= AGREE_NS and offset > error:
            found = _finding(window, point, error)
            if found is not None:
                yield found


def _finding(window: Window, point: Point, error: int) -> Finding | None:
    offset = point.clock_offset_ns
    here = window.flows.filter(pl.col("point") == point.number, pl.col("fwd_syns") > 0).head(1)
    paths = window.paths.filter(pl.col("legs").list.eval(pl.element().is_in(here["leg"].implode())).list.any()).head(1)
    if not paths.height:
        return None
    proof = prove(
        window,
        paths,
        ("syn",),
        lambda event: f"SYN, {_words(offset)} there" if event["point"] == point.number else None,
    )
    evidence: tuple[Evidence, ...] = proof.evidence[:1]
    if not evidence:
        return None
    sure = abs(offset) >= _SURE_RATIO * error
    facts: dict[str, Fact] = {"offset_ns": offset, "error_ns": error, "skew_ppm": point.clock_skew_ppm}
    skew = point.clock_skew_ppm
    drift = f" It runs {abs(skew):.1f} ppm {'slow' if skew > 0 else 'fast'}." if point.clock_drifts else ""
    hours = round(offset / 3.6e12)
    zone = bool(hours) and abs(offset - hours * 3.6e12) < 60e9
    return Finding(
        rule="clock-offset",
        severity=SEVERITY,
        verdict=Verdict.CONFIRMED if sure else Verdict.LIKELY,
        title=f"The clock at {point.name} is {_words(offset)}",
        summary=(
            f"Handshakes seen at {point.name} and at other points show its clock {_words(offset)} of theirs, with an "
            f"error of at most {error / 1e6:,.3f} ms.{drift} Times were corrected before they were compared."
        ),
        subject={"point": point.name},
        count=1,
        evidence=evidence,
        flows=proof.flows,
        facts=facts,
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="A whole number of hours: a clock set to local time." if zone else "The capturing host's clock is off.",
        remedy=(f"Synchronise the clock of the host that captured {point.name} (chrony, NTP, PTP).",),
        caveats=() if sure else ("The handshakes took so long that a part of the difference may be delay.",),
        next_capture=None if sure else f"tcpdump -ni any -s 96 -w {point.number}.pcap tcp  (after its clock was set)",
        references=("RFC 5905, section 8",),
    )


def _words(offset_ns: int) -> str:
    """The clock of a point to whose times this is added."""
    size = abs(offset_ns)
    text = f"{size / 1e9:,.3f} s" if size >= 1e9 else f"{size / 1e6:,.3f} ms"
    return f"{text} {'behind' if offset_ns > 0 else 'ahead'}"
