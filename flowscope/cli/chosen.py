"""Options that choose frames by finding, flow or path, and the frames they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import click

if TYPE_CHECKING:
    from flowscope.analysis import Analysis


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the user named; at most one of the three."""

    finding: str | None
    flow: int | None
    path: int | None


def chooses_frames(command: Callable[..., int]) -> Callable[..., int]:
    """Gives a command ``--finding``, ``--flow`` and ``--path``."""
    for option in (
        click.option(
            "--path", type=click.IntRange(min=0), metavar="ID", help="The frames of this path, at all points."
        ),
        click.option("--flow", type=click.IntRange(min=0), metavar="ID", help="The frames of this flow."),
        click.option("--finding", metavar="ID", help="The frames that prove this finding: F1, F2, ..."),
    ):
        command = option(command)
    return command


def chosen(finding: str | None, flow: int | None, path: int | None) -> Chosen:
    """What was named.

    Raises:
        click.UsageError: more than one.
    """
    if sum(one is not None for one in (finding, flow, path)) > 1:
        raise click.UsageError("give one of --finding, --flow and --path")
    return Chosen(finding, flow, path)


def write_chosen(
    analysis: Analysis,
    what: Chosen,
    out: BinaryIO,
    told: Callable[[str], None] | None = None,
    *,
    cited_only: bool = False,
) -> int:
    """Writes the chosen frames as pcapng; everything that was analysed when nothing was chosen.

    Args:
        analysis: where the frames are from.
        what: the choice.
        out: where to.
        told: gets a heading for each frame.
        cited_only: of a finding, only the frames that it cites, not what stands beside them.

    Returns:
        How many frames were written.

    Raises:
        click.UsageError: there is no such finding, flow or path; says which there are.
        CaptureError: a capture cannot be read again as it was.
    """
    from flowscope.evidence.choice import Chooser, cited
    from flowscope.evidence.files import finding_title, write_choice, write_everything, write_findings

    if what.finding is not None:
        found = [one for one in analysis.findings if what.finding in (one.id, one.key)]
        if not found:
            raise click.UsageError(_none("finding", what.finding, [one.id for one in analysis.findings]))
        if cited_only:
            return write_choice(analysis, out, finding_title(found[0]), cited(found[0]), told)
        return write_findings(analysis, {found[0].id: out}, told)[found[0].id]
    try:
        if what.flow is not None:
            return write_choice(analysis, out, f"flow {what.flow}", Chooser(analysis).flow(what.flow), told)
        if what.path is not None:
            return write_choice(analysis, out, f"path {what.path}", Chooser(analysis).path(what.path), told)
    except KeyError:
        kind, table = ("flow", analysis.flows) if what.flow is not None else ("path", analysis.paths)
        wrong: Any = what.flow if what.flow is not None else what.path
        raise click.UsageError(_none(kind, wrong, [*map(str, range(table.height))])) from None
    return write_everything(analysis, out, told)


def _none(kind: str, wrong: str | int, there: list[str]) -> str:
    """One line that says which ids there are."""
    if not there:
        return f"there is no {kind} {wrong}: the captures have none"
    ids = there[0] if len(there) == 1 else f"{there[0]} to {there[-1]}"
    lists = {"finding": "analyze", "flow": "flows", "path": "paths"}[kind]
    return (
        f"there is no {kind} {wrong}: there is {ids}; `flowscope {lists}` with the same captures and options lists them"
    )
