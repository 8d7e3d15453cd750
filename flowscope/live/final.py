"""The last word: the written files analysed again as a whole, or the window where they cannot be."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from flowscope.analysis import Analysis, follow
from flowscope.capture.core import Frames
from flowscope.capture.file import Capture, read_captures
from flowscope.findings import Finding
from flowscope.live.watch import Watch
from flowscope.report.times import rfc3339_text

if TYPE_CHECKING:
    from flowscope.given import Given

log = logging.getLogger("flowscope")

Progress = Callable[[int, int | None], None]

#: So many times the flows of a window may be read again at the end.
_WHOLE = 20


def conclude(watch: Watch, given: Given, progress: Progress | None = None) -> Analysis:
    """The report of a run that has ended.

    Where every file is still there it is what ``flowscope analyze`` says of them, by construction. Where one was
    overwritten, or more flows were seen than fit, the window speaks and says from when; findings that rest on what is
    gone stay, with that caveat.

    Args:
        watch: ended, everything read.
        given: what is known besides the captures.
        progress: told while files are read again.
    """
    files = [file for file in watch.files if file.offset]
    whole = files and all(not file.gone and os.access(file.path, os.R_OK) for file in watch.files)
    if whole and watch.flows_seen <= watch.limits.flows * _WHOLE:
        known = given if watch.tracked is None else replace(given, translations=watch.tracked.table)
        analysis = _offline(watch, known, progress)
    else:
        analysis = _window(watch, whole=bool(whole))
    if watch.local is not None:
        analysis.findings[:] = watch.local.told(analysis.findings)
    if watch.tracked is not None:
        confirmed, wrong = watch.tracked.check(analysis)
        analysis.problems.extend(wrong)
        log.info("conntrack confirms %d joins and contradicts %d", confirmed, len(wrong))
    return analysis


def _offline(watch: Watch, given: Given, progress: Progress | None) -> Analysis:
    settings = watch.settings
    files = [file for file in watch.files if file.offset]
    tables, read = read_captures([file.path for file in files], settings, progress)
    shown = {file.path: file for file in files}
    frames = Frames.of(tables)
    del tables
    captures = []
    for capture in read:
        file = shown[capture.path]
        known = {(issue["kind"], issue["detail"]) for issue in capture.issues}
        stated = {issue["kind"] for issue in capture.issues}
        more = [
            issue
            for issue in watch.issues(file)
            if (issue["kind"], issue["detail"]) not in known
            and not (issue["kind"] == "dropped-frames" and "dropped-frames" in stated)
        ]
        captures.append(replace(capture, path=file.shown, issues=(*capture.issues, *more)))
    return follow(frames, captures, given, settings)


def _window(watch: Watch, whole: bool) -> Analysis:
    analysis, notices = watch.last_look()
    problems = [notice.text for notice in notices]
    since, left = watch.room.speaks_from_ns, watch.room.put_aside
    if since is not None:
        told = f"The report speaks from {rfc3339_text(since)} on: {left:,} flows that had ended left memory"
        hint = "; `flowscope analyze` on the written files reads everything" if whole else ""
        problems.append(f"{told}; findings made before stay{hint}.")
    gone = [capture.path for capture in analysis.captures if _overwritten(capture)]
    if gone:
        named = ", ".join(gone[:3]) + (f" and {len(gone) - 3} more" if len(gone) > 3 else "")
        problems.append(f"Frames that were overwritten or not kept cannot be looked at any more: {named}.")
    if watch.merging.dropped:
        problems.append(f"{watch.merging.dropped:,} findings that were told are not listed: there were too many.")
    shown = {finding.key for finding in analysis.findings}
    aged = [_without_frames(finding) for finding in watch.merging.aged if finding.key not in shown]
    findings = sorted(
        [*analysis.findings, *aged], key=lambda one: (one.severity.rank, one.verdict.rank, -one.count, one.key)
    )
    return replace(
        analysis,
        findings=[replace(finding, id=f"F{at}") for at, finding in enumerate(findings, 1)],
        problems=[*problems, *analysis.problems],
    )


def _overwritten(capture: Capture) -> bool:
    return any(issue["kind"] == "overwritten" for issue in capture.issues)


def _without_frames(finding: Finding) -> Finding:
    """A finding of flows that are not held any more."""
    caveat = "Found while the traffic ran; its flows have left memory since, so they are not listed."
    evidence = tuple(replace(one, flow=None) for one in finding.evidence)
    facts = {name: value for name, value in finding.facts.items() if name != "because"}
    return replace(finding, flows=(), paths=(), evidence=evidence, facts=facts, caveats=(*finding.caveats, caveat))
