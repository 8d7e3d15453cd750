"""``flowscope dissect``: frames in full, through Wireshark's engine."""

from __future__ import annotations

import tempfile
from typing import BinaryIO, cast

import click

from flowscope.cli.chosen import chooses_frames, chosen, write_chosen
from flowscope.cli.judged import analysed, exit_code
from flowscope.cli.options import Request, reads_captures
from flowscope.cli.output import check_output, opened
from flowscope.errors import FlowscopeError
from flowscope.report.paint import painter
from flowscope.report.safe_text import safe_line

#: Lines within which the layer of the frame itself gives its number.
_FRAME_LAYER = 40


@click.command(
    "dissect",
    short_help="The frames of a finding, a flow or a path, dissected by Wireshark's engine.",
    epilog="""\b
Examples:
  flowscope dissect captures/ --topology lb.toml --finding F1 | less
  flowscope dissect vm1.pcap --flow 3
  flowscope dissect vm1.pcap -Y 'http.response.code >= 500'

Needs tshark.""",
)
@reads_captures([], without=("brief", "hash_"))
@chooses_frames
def command(request: Request, finding: str | None, flow: int | None, path: int | None) -> int:
    """Show frames with every field of every layer, and what each of them is evidence of.

    Of a finding the frames that it cites are shown, with -v all that its evidence file would hold. Ids are those of
    `flowscope analyze`, `flows` and `paths` with the same captures and options. Without one, every frame that was
    analysed is shown.
    """
    from flowscope.capture.wireshark import dissect, need

    what = chosen(finding, flow, path)
    need("tshark", "dissect")
    check_output(request.output, request.files)
    paint = painter(request.look.colour)
    with analysed(request, frames=True) as analysis, tempfile.NamedTemporaryFile(suffix=".pcapng") as file:
        headings: list[str] = []
        write_chosen(analysis, what, cast(BinaryIO, file), headings.append, cited_only=not request.verbose)
        file.flush()
        shown = 0
        with opened(request.output) as out:
            for heading, text in zip(headings, dissect(file.name), strict=False):
                lines = [paint(safe_line(heading), "heading")]
                number = heading.split(" ", 2)[1]
                for line in text.splitlines():
                    # pyshark marks the lines of a layer with a tab, and its first one with a colon.
                    safe = safe_line(line.lstrip(":").replace("\t", "  "))
                    if safe.startswith("  Frame Number: ") and len(lines) < _FRAME_LAYER:
                        # pyshark reads a file with the chosen frames; people look for the number in theirs.
                        safe = f"  Frame Number: {number}"
                    lines.append(paint(safe, "label") if line.startswith("Layer ") else safe)
                out.write("\n".join([*lines, "", ""]).encode("utf-8", "replace"))
                shown += 1
        if shown < len(headings):
            raise FlowscopeError(f"dissect: tshark dissected {shown:,} of {len(headings):,} frames and said no more")
        return exit_code(request, analysis)
