"""SVG: the picture of the graph as a file of its own, dark or light as the viewer is."""

from __future__ import annotations

from typing import BinaryIO

import networkx as nx

from flowscope.graph.condense import condensed
from flowscope.graph.picture import picture, style
from flowscope.report.html.page import own
from flowscope.report.markup import raw, xml


def write(graph: nx.MultiDiGraph, out: BinaryIO) -> None:
    """Writes the picture as SVG."""
    drawn = picture(condensed(graph))
    drawn.set("xmlns", "http://www.w3.org/2000/svg")
    drawn.insert(0, raw("style", f"{own('colours.css')}\nsvg {{ background: var(--paper); }}\n{style()}"))
    out.write(xml(drawn).encode("utf-8", "replace"))
