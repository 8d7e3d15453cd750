"""GraphML, for Gephi, yEd, Cytoscape and networkx."""

from __future__ import annotations

from typing import BinaryIO

import networkx as nx


def write(graph: nx.MultiDiGraph, out: BinaryIO) -> None:
    """Writes the graph as GraphML."""
    for line in nx.generate_graphml(graph, prettyprint=True):
        out.write(f"{line}\n".encode())
