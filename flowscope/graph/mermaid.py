"""Mermaid, for tickets, wikis and pull requests."""

from __future__ import annotations

from typing import BinaryIO

import networkx as nx

from flowscope.report.safe_text import mermaid_string

_SHAPES = {
    "client": ("([", "])"),
    "frontend": ("{{", "}}"),
    "snat": ("[/", "/]"),
    "member": ("[", "]"),
    "destination": ("[(", ")]"),
}


def write(graph: nx.MultiDiGraph, out: BinaryIO) -> None:
    """Writes the graph as a Mermaid flowchart, left to right; what failed ends in a cross and is dotted."""
    lines = ["flowchart LR"]
    for node, facts in graph.nodes(data=True):
        opened, closed = _SHAPES.get(facts["role"], ("[", "]"))
        label = facts["label"] if facts["health"] in ("", "unknown") else f"{facts['label']} ({facts['health']})"
        lines.append(f"  {node}{opened}{mermaid_string(label)}{closed}")
    bad = []
    for at, (source, target, facts) in enumerate(graph.edges(data=True)):
        arrow = "-.-x" if facts["failed"] else "-.->" if facts["kind"] == "translation" else "-->"
        lines.append(f"  {source} {arrow}|{mermaid_string(facts['label'])}| {target}")
        if facts["failed"]:
            bad.append(str(at))
    if bad:
        lines.append(f"  linkStyle {','.join(bad)} stroke:#b3201d,stroke-width:2px")
    out.write(("\n".join(lines) + "\n").encode("utf-8", "replace"))
