"""The forensic report: a folder with the report for people and for programs, the evidence, and the manifest."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flowscope.errors import FlowscopeError
from flowscope.evidence.files import with_streams, write_findings
from flowscope.evidence.manifest import NAME, manifest
from flowscope.evidence.verification import differences, read_manifest
from flowscope.report import html, json
from flowscope.report.look import Look

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

_EVIDENCE = "evidence"


def write_report(analysis: Analysis, folder: str, inputs: Sequence[str] = ()) -> bytes:
    """Writes the report of an analysis into a folder, which appears when it is complete.

    Args:
        analysis: with the digests of its captures (``Settings.hash``).
        folder: new, empty, or a report that is replaced.
        inputs: files that must not be touched.

    Returns:
        The manifest.

    Raises:
        FlowscopeError: the folder holds something else, or an input.
        CaptureError: a capture cannot be read again as it was.
    """
    check_folder(folder, inputs)
    with _staged(Path(folder)) as staged:
        (staged / _EVIDENCE).mkdir()
        # Ids are F and a number, so they are safe file names; nothing else becomes one.
        names = {finding.id: f"{_EVIDENCE}/{finding.id}.pcapng" for finding in analysis.findings}
        with ExitStack() as stack:
            paths = {id: str(staged / name) for id, name in names.items()}
            counts = write_findings(analysis, with_streams(paths, stack))
        about = {
            names[one.id]: {"finding": one.id, "key": one.key, "frames": counts[one.id]} for one in analysis.findings
        }
        (staged / "report.html").write_text(html.render(analysis, evidence=names), "utf-8", "replace", "\n")
        with open(staged / "report.json", "wb") as out:
            json.render(analysis, out, Look())
        text = manifest(analysis, staged, ["report.html", "report.json", *names.values()], about)
        (staged / NAME).write_bytes(text)
        return text


def check_folder(folder: str, inputs: Sequence[str] = ()) -> None:
    """Refuses a folder that cannot become a report, before any work is done.

    Raises:
        FlowscopeError: says why, and what to give instead.
    """
    path = Path(folder)
    parent = path.resolve().parent
    if not parent.is_dir():
        raise FlowscopeError(f"{folder}: there is no directory {parent} to make it in")
    if not path.exists():
        return
    if not path.is_dir():
        raise FlowscopeError(f"{folder}: is a file; give -o the name of a folder")
    inside = path.resolve()
    for one in inputs:
        if one != "-" and inside in (Path(one).resolve(), *Path(one).resolve().parents):
            raise FlowscopeError(f"{folder}: holds an input ({one}); give -o another folder")
    if any(path.iterdir()) and not _is_report(path):
        raise FlowscopeError(f"{folder}: is not empty and no report of flowscope; give -o a new folder")


def _is_report(folder: Path) -> bool:
    """True when a folder holds a report and nothing that the report does not know of."""
    try:
        known = read_manifest(folder)
    except (FlowscopeError, OSError):
        return False
    return not any(what == "additional" for _, what in differences(folder, known))


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A folder beside the one to be made, which takes its place at the end."""
    target = folder.resolve()
    staged = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.", dir=target.parent))
    try:
        yield staged
        mask = os.umask(0)
        os.umask(mask)
        staged.chmod(0o777 & ~mask)
        if target.exists():
            shutil.rmtree(target)
        staged.rename(target)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
