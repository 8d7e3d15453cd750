"""``flowscope annotate``: the capture itself, with the findings in it."""

from __future__ import annotations

import os
from dataclasses import replace

import click

from flowscope.cli.judged import analysed, exit_code
from flowscope.cli.options import Request, reads_captures
from flowscope.cli.output import check_output, opened
from flowscope.cli.progress import tell
from flowscope.report.layout import counted


@click.command(
    "annotate",
    short_help="A copy of a capture with the findings as packet comments.",
    epilog="""\b
Examples:
  flowscope annotate vm1.pcap -w vm1-annotated.pcapng
  flowscope annotate vm1.pcap --beside vm2.pcap --beside lb.pcap --topology lb.toml -w vm1-annotated.pcapng

In Wireshark, the display filter `frame.comment contains "F1 "` shows the frames of finding F1.""",
)
@reads_captures([], without=("output", "brief", "hash_"))
@click.option("-w", "--write", "target", metavar="OUT.pcapng", required=True, help="File to write, - for stdout.")
@click.option("--beside", multiple=True, metavar="CAPTURE", help="Analyse this as well: findings need several points.")
def command(request: Request, target: str, beside: tuple[str, ...]) -> int:
    """Copy a capture and write the findings into it as packet comments, so that Wireshark shows them.

    Everything else stays as it is: unknown blocks, decryption secrets, name resolution, options. A pcap file becomes a
    pcapng file.
    """
    if len(request.captures) != 1 or os.path.isdir(request.captures[0]):
        raise click.UsageError("annotate copies one capture: name its file, and others that belong to it with --beside")
    request = replace(request, captures=(*request.captures, *beside))
    file = None if target == "-" else target
    check_output(file, request.files, "-w")
    from flowscope.errors import CaptureError
    from flowscope.evidence.annotation import annotate

    with analysed(request, frames=True) as analysis:
        check_output(file, (one.path for one in analysis.captures), "-w")
        if analysis.captures[0].format is None:
            raise CaptureError(f"{request.captures[0]}: {analysis.captures[0].issues[0]['detail']}")
        with opened(file) as out:
            done = annotate(analysis, out)
        if not request.quiet:
            room = f", {counted(done.without_room, 'frame')} had no room for theirs" if done.without_room else ""
            tell(f"{target}: {counted(done.frames, 'frame')} with comments{room}")
        return exit_code(request, analysis)
