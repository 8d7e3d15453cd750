"""``flowscope probes``: the table of probes."""

from __future__ import annotations

import click

from flowscope.cli.judged import judge
from flowscope.cli.options import Request, reads_captures


@click.command(
    "probes",
    short_help="One row per member and prober, with the member's state over time.",
    epilog="""\b
Examples:
  flowscope probes vm1.pcap
  flowscope probes captures/ --topology lb.toml
  flowscope probes origin.pcap --service-tags ServiceTags_Public.json
  flowscope probes captures/ --format csv -o probes.csv""",
)
@reads_captures(["text", "csv", "jsonl", "json", "parquet"])
def command(request: Request) -> int:
    """List the health probes: who asks whom, what came back, and what the balancer made of it."""
    from flowscope.report import render_rows

    return judge(request, lambda analysis, out: render_rows(analysis, "probes", request.format, out, request.look))
