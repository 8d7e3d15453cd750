"""GEXF, for Gephi."""

from __future__ import annotations

from typing import BinaryIO
from xml.etree import ElementTree

import networkx as nx
from networkx.readwrite.gexf import GEXFWriter


def write(graph: nx.MultiDiGraph, out: BinaryIO) -> None:
    """Writes the graph as GEXF 1.2."""
    writer = GEXFWriter(encoding="utf-8", prettyprint=True, version="1.2draft")
    writer.add_graph(graph)
    # networkx writes today's date, and its own version; the same captures give the same file.
    for meta in writer.xml.findall("meta"):
        writer.xml.remove(meta)
    ElementTree.ElementTree(writer.xml).write(out, encoding="utf-8", xml_declaration=True)
    out.write(b"\n")
