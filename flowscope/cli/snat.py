"""``flowscope snat``: the table of SNAT port use."""

from __future__ import annotations

import click

from flowscope.cli.judged import judge
from flowscope.cli.options import Request, reads_captures


@click.command(
    "snat",
    short_help="Use of SNAT ports: one row per SNAT address and destination.",
    epilog="""\b
Examples:
  flowscope snat lb_in.pcap lb_out.pcap --topology lb.toml
  flowscope snat vm1.pcap --topology lb.toml --format json
  flowscope snat captures/ --format csv -o snat.csv""",
)
@reads_captures(["text", "csv", "jsonl", "json", "parquet"])
def command(request: Request) -> int:
    """List how many ports of each SNAT address were in use towards each destination, and who got none.

    Ports are counted from the SYN to the close and as long as the topology says they are held after it (fin_hold_s,
    rst_hold_s of [[snat]]); without a topology the ports that were seen stand for those that exist.
    """
    from flowscope.report import render_rows

    return judge(request, lambda analysis, out: render_rows(analysis, "snat", request.format, out, request.look))
