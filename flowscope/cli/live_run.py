"""The loop of ``flowscope live``: start, watch until told to stop, report."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from flowscope.cli.judged import exit_code
from flowscope.cli.live_plan import Plan
from flowscope.cli.options import Request
from flowscope.cli.output import check_output, opened, wanted
from flowscope.cli.progress import listen, progress_bar, tell
from flowscope.errors import FlowscopeError

if TYPE_CHECKING:
    from flowscope.cli.live_lines import Show
    from flowscope.given import Given
    from flowscope.live.watch import Watch

_PAUSE_S = 0.05
#: A capture program that was asked to end gets so long to write what it holds.
_PATIENCE_S = 20.0


class _Interrupts:
    """Ctrl-C and SIGTERM: the first one stops the capture, the second one everything."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt


@contextmanager
def _handled() -> Iterator[_Interrupts]:
    interrupts = _Interrupts()
    before = {number: signal.signal(number, interrupts) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _folder(user_ids: tuple[int, int] | None) -> Iterator[str]:
    """A temporary folder for what is not kept, owned by who writes and reads it."""
    folder = tempfile.mkdtemp(prefix="flowscope-live-")
    try:
        if user_ids is not None:
            os.chown(folder, *user_ids)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(request: Request, plan: Plan) -> int:
    """Watches live traffic and writes the report; returns the exit code."""
    listen(request.quiet, request.verbose)
    plan.check()
    check_output(request.output, (*request.files, *filter(None, (plan.write,))))
    from flowscope.cli.live_lines import show_for
    from flowscope.host.rights import become, user_to_become, with_capture_rights

    user = user_to_become(plan.user)
    with _handled() as interrupts, _folder((user.uid, user.gid) if user else None) as folder:
        from flowscope.given import Given
        from flowscope.live.aging import limits_for
        from flowscope.live.local import Local
        from flowscope.live.tracked import Tracked
        from flowscope.live.watch import Watch

        given = Given.read(request.topology, request.settings)
        _check_writable(plan, request, user.name if user else None, (user.uid, user.gid) if user else None)
        sources = plan.sources(folder, user)
        _rehearse(request, given)
        local, tracked = (Local(), Tracked(with_capture_rights(user))) if plan.interfaces else (None, None)
        watch = Watch(sources, request.settings, given, limits_for(plan.max_flows), local, tracked)
        show = show_for(request)
        try:
            watch.begin()
            become(user)
            with show:
                _watch(watch, show, plan, interrupts)
            return _conclude(watch, show, request, given, interrupts)
        finally:
            for source in sources:
                source.kill()
            if tracked is not None:
                tracked.end()


def _watch(watch: Watch, show: Show, plan: Plan, interrupts: _Interrupts) -> None:
    """Turns until the sources have ended, or someone says that it is enough."""
    stopped_at: float | None = None
    while not watch.ended:
        began = time.monotonic()
        turn = watch.turn()
        if watch.ended and not watch.status.frames:
            # Nothing was captured at all: that becomes the one line of the error.
            turn.notices = [notice for notice in turn.notices if notice.kind != "capture-ended"]
        show.turn(watch, turn)
        if stopped_at is None and (interrupts.count or _enough(watch, plan)):
            stopped_at = time.monotonic()
            show.stopping()
            watch.stop()
        if stopped_at is not None and time.monotonic() - stopped_at > _PATIENCE_S:
            for source in watch.sources:
                source.kill()
            stopped_at = time.monotonic()
        pause = 0.02 if stopped_at else _PAUSE_S
        time.sleep(max(0.0, pause - (time.monotonic() - began)))


def _enough(watch: Watch, plan: Plan) -> bool:
    """A condition of ``-a`` is met."""
    status = watch.status
    reached = {
        "duration": time.time_ns() - status.started_ns >= 1_000_000_000 * plan.limit("duration"),
        "filesize": status.bytes >= 1000 * plan.limit("filesize"),
        "packets": status.frames >= plan.limit("packets"),
    }
    return any(reached.values())


def _conclude(watch: Watch, show: Show, request: Request, given: Given, interrupts: _Interrupts) -> int:
    from flowscope.live.final import conclude
    from flowscope.report import render

    failed = [notice for notice in watch.notices if notice.kind == "capture-ended"]
    if not watch.status.frames and failed and not interrupts.count:
        raise FlowscopeError(f"{failed[0].text}{_hint(failed[0].text, watch)}")
    with progress_bar(request.quiet) as progress:
        analysis = conclude(watch, given, progress)
    if not request.quiet:
        for problem in analysis.problems:
            tell(problem)
    show.changed(watch.merging.end(analysis.findings))
    with wanted(), opened(request.output) as out:
        render(analysis, request.format, out, request.look)
    return exit_code(request, analysis)


def _hint(text: str, watch: Watch) -> str:
    """What to do about missing rights."""
    from flowscope.host.rights import how_to_grant

    words = ("permission", "operation not permitted", "not permitted")
    if not any(word in text.lower() for word in words):
        return ""
    program = next(source.program for source in watch.sources if source.own)
    return f"; {how_to_grant(program)}"


def _check_writable(plan: Plan, request: Request, name: str | None, ids: tuple[int, int] | None) -> None:
    """Says now what would fail after giving up root."""
    if name is None or ids is None:
        return
    for path in filter(None, (plan.write, request.output)):
        folder = os.path.dirname(os.path.abspath(path))
        if not _may_write(folder, *ids):
            raise FlowscopeError(
                f"{path}: {name}, whom flowscope becomes before it reads packets, may not write to {folder}: "
                "choose another directory, or another user with -Z USER"
            )


def _may_write(folder: str, uid: int, gid: int) -> bool:
    """Asks in a child that became the user: rights on the way to the folder count as well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([gid])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            code = 0 if os.access(folder, os.W_OK | os.X_OK) else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _rehearse(request: Request, given: Given) -> None:
    """Runs everything once over nothing, so that all code and data are loaded: who this process becomes may not be
    able to read the package."""
    import io
    from importlib import import_module, readers  # noqa: F401

    from flowscope.analysis import follow
    from flowscope.capture.core import Frames, new_engine
    from flowscope.report import REPORTS, ROWS, render

    for module in {*REPORTS.values(), *ROWS.values(), "flowscope.live.final"}:
        import_module(module)
    render(
        follow(Frames.of(new_engine(request.settings).finish()), [], given, request.settings),
        request.format,
        io.BytesIO(),
        request.look,
    )
