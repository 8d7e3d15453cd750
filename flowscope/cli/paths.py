"""``flowscope paths``: the table of paths."""

from __future__ import annotations

import click

from flowscope.cli.judged import judge
from flowscope.cli.options import Request, reads_captures


@click.command(
    "paths",
    short_help="One row per client connection, with its legs.",
    epilog="""\b
Examples:
  flowscope paths vm1.pcap lb.pcapng --topology lb.toml
  flowscope paths captures/ --format jsonl
  flowscope paths captures/ --format csv -o paths.csv""",
)
@reads_captures(["text", "csv", "jsonl", "json", "parquet"])
def command(request: Request) -> int:
    """List the paths: each client connection with its legs, from client to backend."""
    from flowscope.report import render_rows

    return judge(request, lambda analysis, out: render_rows(analysis, "paths", request.format, out, request.look))
