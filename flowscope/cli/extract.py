"""``flowscope extract``: the frames themselves."""

from __future__ import annotations

import click

from flowscope.cli.chosen import chooses_frames, chosen, write_chosen
from flowscope.cli.judged import analysed, exit_code
from flowscope.cli.options import Request, reads_captures
from flowscope.cli.output import check_output, opened
from flowscope.cli.progress import tell
from flowscope.report.layout import counted


@click.command(
    "extract",
    short_help="The frames of a finding, a flow or a path, as pcapng.",
    epilog="""\b
Examples:
  flowscope extract captures/ --topology lb.toml --finding F1 -w F1.pcapng
  flowscope extract vm1.pcap lb.pcap --path 12 -w - | tshark -r -
  flowscope extract captures/ --from '2026-01-01 12:00' --to '2026-01-01 12:05' -w five-minutes.pcapng""",
)
@reads_captures([], without=("output", "brief", "hash_"))
@click.option("-w", "--write", "target", metavar="OUT.pcapng", required=True, help="File to write, - for stdout.")
@chooses_frames
def command(request: Request, target: str, finding: str | None, flow: int | None, path: int | None) -> int:
    """Write frames as they were captured, one interface per point, with comments that say what each of them shows.

    Ids are those of `flowscope analyze`, `flows` and `paths` with the same captures and options. Without one, every
    frame that was analysed is written.
    """
    what = chosen(finding, flow, path)
    file = None if target == "-" else target
    check_output(file, request.files, "-w")
    with analysed(request, frames=True) as analysis:
        check_output(file, (one.path for one in analysis.captures), "-w")
        with opened(file) as out:
            count = write_chosen(analysis, what, out)
        if not request.quiet:
            tell(f"{target}: {counted(count, 'frame')}")
        return exit_code(request, analysis)
