"""The paths as a graph, and its exports: one module per format, each with ``write(graph, out)``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

FORMATS = {
    "graphml": "flowscope.graph.graphml",
    "gexf": "flowscope.graph.gexf",
    "dot": "flowscope.graph.dot",
    "json": "flowscope.graph.json",
    "mermaid": "flowscope.graph.mermaid",
    "svg": "flowscope.graph.svg",
    "html": "flowscope.graph.html",
}
"""Formats, and the module that writes each."""


def export(analysis: Analysis, format: str, out: BinaryIO) -> None:
    """Builds the graph of an analysis and writes it in one of the formats of ``FORMATS``."""
    from flowscope.graph.build import exportable, path_graph

    import_module(FORMATS[format]).write(exportable(path_graph(analysis)), out)
