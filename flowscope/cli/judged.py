"""The part that every command which reads captures has in common: analyse, write, decide the exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from flowscope.capture.rings import point_name
from flowscope.cli.options import Request
from flowscope.cli.output import check_output, opened, wanted
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
    check_output(request.output, request.files)
    with analysed(request) as analysis:
        check_output(request.output, (capture.path for capture in analysis.captures))
        with wanted(), opened(request.output) as out:
            write(analysis, out)
        return exit_code(request, analysis)


@contextmanager
def analysed(request: Request, *, frames: bool = False) -> Iterator[Analysis]:
    """What the captures of a request show; tells its problems on stderr.

    Args:
        request: the command as typed.
        frames: they will be read again, so standard input is kept on disk meanwhile, and captures get their digests.
    """
    listen(request.quiet, request.verbose)
    from flowscope.analysis import analyze
    from flowscope.capture.spool import Spool

    settings = replace(request.settings, hash=True) if frames else request.settings
    with ExitStack() as stack:
        twice = frames or settings.display_filter is not None
        spool = stack.enter_context(Spool()) if twice and "-" in request.captures else None
        with progress_bar(request.quiet) as progress:
            analysis = analyze(
                request.captures,
                topology=request.topology,
                settings=settings,
                progress=progress,
                stdin=spool.stream if spool else None,
            )
        if not request.quiet:
            for problem in (*_unused_names(request, analysis), *analysis.problems):
                tell(problem)
        yield analysis


def _unused_names(request: Request, analysis: Analysis) -> Iterator[str]:
    """One sentence for each ``--point`` that names nothing: a slip in a file's name would else go unseen."""
    paths = [capture.path for capture in analysis.captures]
    names = [point.name for point in analysis.points]
    for file, name in request.settings.points:
        fits = any(point_name(path, [(file, name)]) for path in paths)
        # A file of evidence says of its frames where they were captured, and is named by that.
        if not fits and not any(one == name or one.startswith(f"{name}:") for one in names):
            yield f"--point {file}={name}: no capture has this name; it is that of a file, with or without its folder"


def exit_code(request: Request, analysis: Analysis) -> int:
    """1 when ``--fail-on`` is met, else 0."""
    limit = request.fail_on
    return int(
        limit is not None
        and any(
            finding.severity.rank <= limit.rank and finding.verdict is not Verdict.UNDECIDED
            for finding in analysis.findings
        )
    )
