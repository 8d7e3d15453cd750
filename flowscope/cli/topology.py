"""``flowscope topology``: what the captures show of the load balancer, as a file to edit and give back."""

from __future__ import annotations

from importlib import import_module

import click

from flowscope.cli.judged import judge
from flowscope.cli.options import Request, reads_captures

_FORMATS = {"toml": "flowscope.report.topology_toml", "json": "flowscope.report.topology_json"}


@click.command(
    "topology",
    short_help="What the load balancer looks like, as a topology file.",
    epilog="""\b
Examples:
  flowscope topology captures/ -o lb.toml
  flowscope topology captures/ --topology lb.toml
  flowscope topology vm1.pcap lb.pcapng --format json""",
)
@reads_captures(list(_FORMATS), "toml")
def command(request: Request) -> int:
    """Write down the frontends, pools, probes and SNAT addresses that the captures show.

    The result is a topology file for --topology, with the reason of each part. What a given one says wins.
    """
    render = import_module(_FORMATS[request.format]).render
    return judge(request, lambda analysis, out: render(analysis, out, request.look))
