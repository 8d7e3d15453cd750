"""DOT, for Graphviz."""

from __future__ import annotations

from typing import BinaryIO

import networkx as nx

from flowscope.report.safe_text import dot_string

_SHAPES = {"client": "ellipse", "frontend": "house", "snat": "diamond", "member": "box", "destination": "box"}


def write(graph: nx.MultiDiGraph, out: BinaryIO) -> None:
    """Writes the graph as DOT, left to right; what failed is red, translations are dashed."""
    lines = [
        "digraph flowscope {",
        "  rankdir=LR;",
        '  node [fontname="sans-serif"];',
        '  edge [fontname="sans-serif"];',
    ]
    for node, facts in graph.nodes(data=True):
        shape = _SHAPES.get(facts["role"], "box")
        lines.append(f"  {node} [label={dot_string(facts['label'])}, shape={shape}, role={dot_string(facts['role'])}];")
    for source, target, facts in graph.edges(data=True):
        style = ', style="dashed"' if facts["kind"] == "translation" else ""
        colour = ', color="red", fontcolor="red"' if facts["failed"] else ""
        tip = f", tooltip={dot_string(facts['outcomes'])}"
        lines.append(f"  {source} -> {target} [label={dot_string(facts['label'])}{tip}{style}{colour}];")
    lines.append("}")
    out.write(("\n".join(lines) + "\n").encode())
