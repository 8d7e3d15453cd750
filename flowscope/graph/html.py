"""HTML: the picture as a page that opens offline, with pan, zoom and select."""

from __future__ import annotations

from typing import BinaryIO

import networkx as nx

from flowscope.graph.condense import condensed
from flowscope.graph.stage import stage
from flowscope.report.html.page import page
from flowscope.report.markup import element


def write(graph: nx.MultiDiGraph, out: BinaryIO) -> None:
    """Writes the page."""
    content = element("section", element("h1", "Paths"), *stage(condensed(graph), []), id="graph", aria_label="Paths")
    out.write(page("Paths as a graph", [content], bare=True).encode("utf-8", "replace"))
