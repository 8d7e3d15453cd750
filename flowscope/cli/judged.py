"""The part that every command which reads captures has in common: analyse, write, decide the exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from flowscope.cli.options import Request
from flowscope.cli.output import check_output, opened
from flowscope.cli.progress import listen, progress_bar, tell
from flowscope.findings import Verdict

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

Write = Callable[["Analysis", BinaryIO], None]


def judge(request: Request, write: Write) -> int:
    """Analyses the captures of a request and writes the result.

    Args:
        request: the command as typed.
        write: puts the result on a stream.

    Returns:
        The exit code: 1 when ``--fail-on`` is met, else 0.
    """
    listen(request.quiet, request.verbose)
    check_output(
        request.output,
        (*request.captures, *filter(None, (request.topology, request.settings.profile, request.settings.service_tags))),
    )
    from flowscope.analysis import analyze

    with progress_bar(request.quiet) as progress:
        analysis = analyze(request.captures, topology=request.topology, settings=request.settings, progress=progress)
    check_output(request.output, (capture.path for capture in analysis.captures))
    if not request.quiet:
        for problem in analysis.problems:
            tell(problem)
    with opened(request.output) as out:
        write(analysis, out)
    return int(_fails(request, analysis))


def _fails(request: Request, analysis: Analysis) -> bool:
    limit = request.fail_on
    return limit is not None and any(
        finding.severity.rank <= limit.rank and finding.verdict is not Verdict.UNDECIDED
        for finding in analysis.findings
    )
