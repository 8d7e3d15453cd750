"""``flowscope flows``: the table of flows."""

from __future__ import annotations

import click

from flowscope.cli.judged import judge
from flowscope.cli.options import Request, reads_captures


@click.command(
    "flows",
    short_help="One row per 5-tuple and point.",
    epilog="""\b
Examples:
  flowscope flows vm1.pcap
  flowscope flows captures/ --format csv -o flows.csv
  flowscope flows captures/ --format zeek -o conn.log
  flowscope flows big.pcap --format parquet -o flows.parquet""",
)
@reads_captures(["text", "csv", "jsonl", "json", "parquet", "zeek"])
def command(request: Request) -> int:
    """List the flows: one row per 5-tuple and observation point."""
    from flowscope.report import render_rows

    return judge(request, lambda analysis, out: render_rows(analysis, "flows", request.format, out, request.look))
