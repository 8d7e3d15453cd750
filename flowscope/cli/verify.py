"""``flowscope verify``: is a forensic report still as it was written?"""

from __future__ import annotations

import click

from flowscope.report.safe_text import safe_line


@click.command(
    "verify",
    short_help="Check that a report is as it was written.",
    epilog="""\b
Examples:
  flowscope verify incident-42
  flowscope verify incident-42 vm1.pcap vm2.pcap

\b
Exit codes: 0 all as written, 1 something differs, 2 no report there.""",
)
@click.argument("folder", metavar="DIR")
@click.argument("captures", nargs=-1, metavar="[CAPTURE...]")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing; the exit code tells.")
def command(folder: str, captures: tuple[str, ...], quiet: bool) -> int:
    """Compare every file of a report with its manifest: changed, missing and additional ones are named.

    Captures given besides are compared with the inputs that the manifest names, by content.
    """
    from flowscope.evidence.verification import verify

    found = verify(folder, captures)
    if not quiet:
        for name, what in found:
            click.echo(f"{safe_line(name)}: {safe_line(what)}")
        if not found:
            click.echo(f"{safe_line(folder)}: as written" + (", the captures are its inputs" if captures else ""))
    return int(bool(found))
