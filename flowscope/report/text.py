"""The report a person reads first: what was read, what is wrong, what could not be judged and where to capture next."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import polars as pl

from flowscope import __version__
from flowscope.findings import Severity, Verdict
from flowscope.nat.outcomes import FAILED
from flowscope.report.finding_text import FindingBlocks, capture_names
from flowscope.report.layout import columns, counted, labelled, paragraph, shortened
from flowscope.report.look import Look
from flowscope.report.paint import Paint, painter
from flowscope.report.safe_text import safe_line
from flowscope.report.times import clock, day, span, zone

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.capture.file import Capture

_CAPTURES_SHOWN = 12
_ISSUES_SHOWN = 8


def render(analysis: Analysis, out: BinaryIO, look: Look) -> None:
    """Writes the report as text for people."""
    paint = painter(look.colour)
    sections = [
        _read(analysis, look, paint),
        _wrong(analysis, look, paint),
        _undecided(analysis, look, paint),
        _damage(analysis, look, paint),
    ]
    text = "\n\n".join("\n".join(section) for section in sections if section)
    out.write(text.encode("utf-8", "replace") + b"\n")


def _read(analysis: Analysis, look: Look, paint: Paint) -> list[str]:
    """What was read."""
    captures = analysis.captures
    tcp = analysis.flows.select((pl.col("protocol") == 6).sum()).item() if analysis.flows.height else 0
    other = analysis.flows.height - tcp
    totals = [
        counted(len(captures), "capture"),
        counted(len(analysis.points), "point"),
        counted(sum(capture.frames for capture in captures), "frame"),
        counted(tcp, "TCP flow") + (f" + {other:,} other" if other else ""),
        counted(analysis.paths.height, "path"),
    ]
    lines = [f"{paint(f'flowscope {__version__}', 'heading')}  {', '.join(totals)}"]
    firsts = [capture.first_ns for capture in captures if capture.first_ns is not None]
    lasts = [capture.last_ns for capture in captures if capture.last_ns is not None]
    if firsts and lasts:
        first, last = min(firsts), max(lasts)
        until = clock(last, look.utc, 3)
        if day(first, look.utc) != day(last, look.utc):
            until = f"{day(last, look.utc)} {until}"
        when = f"{day(first, look.utc)} {clock(first, look.utc, 3)} to {until} {zone(first, look.utc)}"
        lines.append(paint(f"{when} ({span(last - first)})", "faint"))
    if analysis.profile:
        named = safe_line(analysis.profile.file or analysis.profile.name)
        lines.append(paint(f"profile {named}: {safe_line(analysis.profile.title)}", "faint"))
    for given in analysis.given:
        counts = ", ".join(counted(n, what.removesuffix("s"), what) for what, n in given.read.items())
        used = "; ".join(given.used) or "nothing of it was used"
        counts = f" ({counts})" if counts else ""
        text = f"{given.option} {safe_line(given.path)}: {given.kind}{counts}; {safe_line(used)}"
        if look.verbose:
            text += f"; sha256 {given.sha256}"
        lines += [paint(line, "faint") for line in paragraph(text, 0, look.width)]
    folder, names = capture_names(captures)
    if folder:
        lines.append(paint(f"in {shortened(folder, look.width - 3)}", "faint"))
    shown = captures if look.verbose else captures[:_CAPTURES_SHOWN]
    rows = [_capture(one, names[one.id], analysis, look) for one in shown]
    lines += ["", *(f"  {line}" for line in columns(rows, frozenset({2})))]
    if len(shown) < len(captures):
        lines.append(f"  ... and {len(captures) - len(shown)} more (-v lists them)")
    for one in captures:
        if one.converted_by is not None:
            lines.append(
                f"  {names[one.id]}: {safe_line(one.format or '?')}, read through {safe_line(one.converted_by)}"
            )
    return lines


def _capture(capture: Capture, path: str, analysis: Analysis, look: Look) -> tuple[str, ...]:
    """One line about one capture."""
    names = {point.number: point.name for point in analysis.points}
    points = ", ".join(safe_line(names[number]) for number in capture.points if number in names)
    path = shortened(path, 44)
    if capture.format is None:
        return path, "", "not read", "", ""
    frames = f"{capture.frames:,} frames"
    if capture.only is not None:
        frames += f", {len(capture.only):,} chosen"
    if capture.first_ns is None or capture.last_ns is None:
        return path, shortened(points, 30), frames, "", ""
    return (
        path,
        shortened(points, 30),
        frames,
        clock(capture.first_ns, look.utc, 3),
        f"+ {span(capture.last_ns - capture.first_ns)}",
    )


def _wrong(analysis: Analysis, look: Look, paint: Paint) -> list[str]:
    """The findings that were decided, worst first; or that there are none."""
    decided = [one for one in analysis.findings if one.verdict is not Verdict.UNDECIDED]
    lines = _outcomes(analysis)
    bad = [one for one in decided if one.severity is not Severity.INFO]
    if bad:
        counts = [
            counted(number, severity.value)
            for severity in Severity
            if (number := sum(one.severity is severity for one in decided))
        ]
        notes = ", ".join(text for text in counts if "info" not in text)
        lines.append(paint(f"What is wrong: {notes}", "heading"))
    elif len(decided) < len(analysis.findings):
        lines.append("Nothing was proven to be wrong, but not everything could be judged.")
    elif analysis.paths.height:
        failed = analysis.paths.filter(pl.col("outcome").is_in(FAILED)).height
        if failed:
            lines.append(f"No rule says why {counted(failed, 'path')} failed; `flowscope paths` lists them.")
        else:
            lines.append(paint("Nothing wrong was found.", "good"))
        if analysis.judged:
            lines += paragraph(f"Looked for: {', '.join(analysis.judged)}.", 0, look.width)
    else:
        text = f"No TCP connection was seen{_chosen(analysis)}, so there is nothing to judge."
        lines += paragraph(text, 0, look.width)
    blocks = FindingBlocks(analysis, look, paint)
    for finding in decided:
        lines += ["", *blocks.lines(finding)]
    return lines


def _chosen(analysis: Analysis) -> str:
    """Which options may have left out what was expected: a time of another zone, say."""
    settings = analysis.settings
    values = {
        "--from": settings.from_ns,
        "--to": settings.to_ns,
        "-Y": settings.display_filter,
        "-c": settings.max_frames,
    }
    used = [option for option, value in values.items() if value is not None]
    return f" in the frames that {' and '.join(used)} left" if used else ""


def _outcomes(analysis: Analysis) -> list[str]:
    """How the paths ended: ``62 of 90 paths were established, 28 unanswered``."""
    paths = analysis.paths
    if not paths.height:
        return []
    counts = dict(paths["outcome"].value_counts(sort=True).iter_rows())
    total, fine = paths.height, counts.pop("established", 0)
    rest = "".join(f"; {number:,} {outcome}" for outcome, number in sorted(counts.items(), key=lambda one: -one[1]))
    return [f"{fine:,} of {counted(total, 'path')} established{rest}.", ""]


def _undecided(analysis: Analysis, look: Look, paint: Paint) -> list[str]:
    """What the captures cannot show, and where to capture next."""
    undecided = [one for one in analysis.findings if one.verdict is Verdict.UNDECIDED]
    if not undecided and not analysis.problems:
        return []
    lines = [paint("What could not be judged", "heading")]
    blocks = FindingBlocks(analysis, look, paint)
    for finding in undecided:
        lines += ["", *blocks.lines(finding)]
    for problem in analysis.problems:
        lines += ["", *paragraph(problem, 2, look.width)]
    return lines


def _damage(analysis: Analysis, look: Look, paint: Paint) -> list[str]:
    """What could not be read of the captures."""
    lines: list[str] = []
    _, names = capture_names(analysis.captures)
    for capture in analysis.captures:
        issues = capture.issues if look.verbose else capture.issues[:_ISSUES_SHOWN]
        for issue in issues:
            place = f", frame {issue['frame']}" if issue["frame"] else ""
            times = f" ({issue['count']:,} times)" if issue["count"] > 1 else ""
            text = f"{names[capture.id]}{place}: {issue['kind']}: {issue['detail']}{times}"
            lines += labelled("  ", text, 2, look.width)
        if len(issues) < len(capture.issues):
            lines.append(f"  {names[capture.id]}: {len(capture.issues) - len(issues)} more (-v lists them)")
    return [paint("What could not be read", "heading"), *lines] if lines else []
