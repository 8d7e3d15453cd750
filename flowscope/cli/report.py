"""``flowscope report``: the forensic report, a folder that others can check."""

from __future__ import annotations

from hashlib import sha256

import click

from flowscope.cli.judged import analysed, exit_code
from flowscope.cli.options import Request, reads_captures
from flowscope.cli.output import written_to
from flowscope.cli.progress import tell
from flowscope.report.layout import counted


@click.command(
    "report",
    short_help="The forensic report: a folder with findings, evidence and digests.",
    epilog="""\b
Examples:
  flowscope report captures/ --topology lb.toml -o incident-42
  tcpdump -i eth0 -w - | flowscope report - -o incident-42
  flowscope verify incident-42""",
)
@reads_captures([], without=("output", "brief", "hash_"))
@click.option("-o", "--output", "folder", metavar="DIR", required=True, help="The folder to make.")
def command(request: Request, folder: str) -> int:
    """Write what was found so that a colleague, a vendor or a court can check it without trusting the tool.

    DIR will hold report.html and report.json, evidence/F1.pcapng with the frames that prove finding F1, and
    manifest.json with the SHA-256 of every input and output. The same input gives the same bytes.
    """
    from flowscope.evidence.folder import check_folder, write_report

    check_folder(folder, request.captures)
    with analysed(request, frames=True) as analysis, written_to(folder):
        manifest = write_report(analysis, folder, [*request.files, *(one.path for one in analysis.captures)])
        if not request.quiet:
            found, digest = counted(len(analysis.findings), "finding"), sha256(manifest).hexdigest()
            tell(f"{folder}: {found}; SHA-256 of manifest.json {digest}")
        return exit_code(request, analysis)
