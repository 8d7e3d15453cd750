"""``flowscope analyze``: the main job."""

from __future__ import annotations

import click

from flowscope.cli.judged import judge
from flowscope.cli.options import Request, reads_captures


@click.command(
    "analyze",
    short_help="Follow every connection and say what is wrong.",
    epilog="""\b
Examples:
  flowscope analyze vm1.pcap vm2.pcap lb.pcapng
  flowscope analyze captures/ --topology lb.toml
  flowscope analyze captures/ --topology haproxy.cfg
  flowscope analyze captures/ --topology lb.toml --nsg nsg.json=vm1 --flow-log PT1H.json
  flowscope analyze vm1.pcap --listening ss.txt=10.0.0.4
  flowscope analyze vm1.pcap --format json -o report.json
  flowscope analyze captures/ --format markdown | gh issue create -F - -t 'Balancer'
  flowscope analyze vm1.pcap -Y 'ip.addr == 10.0.0.4 && tcp.port == 80'
  tcpdump -i eth0 -w - | flowscope analyze -
  flowscope analyze ring/ --point 'ring_*=lb' --from '2026-01-01 12:00' --fail-on error""",
)
@reads_captures(["text", "json", "jsonl", "markdown"])
def command(request: Request) -> int:
    """Read captures, follow every connection, and say what is wrong.

    A CAPTURE is a file (pcap or pcapng, plain or compressed), a directory, or - for standard input.
    """
    from flowscope.report import render

    return judge(request, lambda analysis, out: render(analysis, request.format, out, request.look))
