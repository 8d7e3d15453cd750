"""``flowscope graph``: the paths as a graph."""

from __future__ import annotations

import click

from flowscope.cli.judged import judge
from flowscope.cli.options import Request, reads_captures


@click.command(
    "graph",
    short_help="The paths as a graph.",
    epilog="""\b
Examples:
  flowscope graph captures/ --topology lb.toml -o paths.graphml
  flowscope graph captures/ --format svg -o paths.svg
  flowscope graph captures/ --format html -o paths.html
  flowscope graph captures/ --format dot | dot -Tpdf > paths.pdf
  flowscope graph captures/ --format mermaid""",
)
@reads_captures(["graphml", "gexf", "dot", "json", "mermaid", "svg", "html"], "graphml")
def command(request: Request) -> int:
    """Draw the paths as a graph: clients, frontends, SNAT addresses, members, and the legs between them."""
    from flowscope.graph import export

    return judge(request, lambda analysis, out: export(analysis, request.format, out))
