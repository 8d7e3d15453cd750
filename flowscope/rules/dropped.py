"""What frames that were lost while capturing do to verdicts: an answer that seems missing may be among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from flowscope.findings import Finding, Verdict
from flowscope.window import Window

RESTS_ON_SILENCE = frozenset(
    {
        "blocked-traffic",
        "frontend-unanswered",
        "half-flow",
        "hairpin-mismatch",
        "idle-timeout",
        "mtu-blackhole",
        "path-loss",
        "probe-blocked",
        "probe-failing",
        "snat-exhaustion",
        "unresponsive-service",
    }
)
"""Rules whose proof is, wholly or in part, that something did not come."""


def weaken(findings: Iterable[Finding], window: Window) -> Iterator[Finding]:
    """Makes confirmed findings that rest on silence likely where the capture lost enough frames to refute them.

    Each of the paths that a finding counts needs one lost frame at least, so fewer lost frames than that refute none as
    a whole.
    """
    lost = lost_frames(window)
    for finding in findings:
        captures = {item.capture for item in finding.evidence}
        here = {point.name: lost[point.number] for point in window.points if captures & set(point.captures)}
        most = max(here.values(), default=0)
        if finding.rule not in RESTS_ON_SILENCE or finding.verdict is not Verdict.CONFIRMED or most < finding.count:
            yield finding
            continue
        where = ", ".join(f"{count:,} at {name}" for name, count in here.items() if count)
        caveat = f"Frames were lost while this was captured ({where}): what seems missing may be among them."
        yield replace(finding, verdict=Verdict.LIKELY, caveats=(*finding.caveats, caveat))


def lost_frames(window: Window) -> dict[int, int]:
    """By point, frames that the capturing side lost: as the files state, or as who captured them says."""
    stated = dict(window.point_table.select("point", "dropped").iter_rows())
    said = {
        capture.id: sum(issue["count"] for issue in capture.issues if issue["kind"] == "dropped-frames")
        for capture in window.captures
    }
    return {
        point.number: int(stated.get(point.number) or sum(said.get(capture, 0) for capture in point.captures))
        for point in window.points
    }
