"""Node-link JSON, as ``networkx.node_link_graph`` and D3 read it."""

from __future__ import annotations

import json
from typing import BinaryIO

import networkx as nx

from flowscope.report.document import head


def write(graph: nx.MultiDiGraph, out: BinaryIO) -> None:
    """Writes the graph as one JSON object: ``nodes``, ``edges``, and what every document of flowscope begins with."""
    document = {**head(), **nx.node_link_data(graph, edges="edges")}
    out.write(json.dumps(document, indent=1).encode() + b"\n")
