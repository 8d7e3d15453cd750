"""The picture with what a page adds to it: buttons, a place for details, and the facts behind nodes and edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx

from flowscope.graph.condense import condensed
from flowscope.graph.picture import picture, sentence
from flowscope.report.markup import Element, data, element

if TYPE_CHECKING:
    from flowscope.analysis import Analysis


def stage(graph: nx.MultiDiGraph, routes: Sequence[Sequence[str]]) -> list[Element]:
    """The parts, in order.

    Args:
        graph: what is drawn.
        routes: which edges one path takes, for every way that any path takes; empty when nobody knows, and then what
            can be reached stands for it.
    """
    ends = {key: (source, target) for source, target, key in graph.edges(keys=True)}
    facts: dict[str, Any] = {
        "routes": [list(one) for one in routes],
        "ends": ends,
        "nodes": {node: _node_facts(one) for node, one in graph.nodes(data=True)},
        "edges": {key: sentence(one) for *_, key, one in graph.edges(keys=True, data=True)},
    }
    buttons = [
        element("button", text, type="button", data_zoom=move, aria_label=label)
        for text, move, label in (
            ("+", "in", "Zoom in"),
            ("\N{MINUS SIGN}", "out", "Zoom out"),
            ("Fit", "fit", "Show all of it"),
        )
    ]
    return [
        element(
            "div",
            *buttons,
            element("span", "Drag to move, Ctrl and wheel to zoom, click for details, Esc to let go.", class_="hint"),
            class_="controls",
            id="graph-controls",
            hidden=True,
        ),
        element(
            "div", picture(graph), class_="scroll drawing graph-view", role="region", aria_label="Graph of the paths",
            tabindex=0,
        ),
        element("div", id="graph-details", class_="details", role="status", aria_live="polite"),
        data("graph-data", facts),
    ]  # fmt: skip


def stage_of(analysis: Analysis) -> list[Element]:
    """The same for an analysis, with the ways that its paths take."""
    from flowscope.graph.build import path_graph

    graph = condensed(path_graph(analysis))
    taken: dict[int, list[str]] = {}
    for *_, key, facts in graph.edges(keys=True, data=True):
        for path in dict.fromkeys(facts["path_ids"]):
            taken.setdefault(path, []).append(key)
    return stage(graph, list(dict.fromkeys(tuple(keys) for keys in taken.values())))


def _node_facts(facts: dict[str, Any]) -> dict[str, str]:
    shown = {"role": facts["role"], "name": facts["name"], "address": facts["address"]}
    if facts["port"]:
        shown["port"] = str(facts["port"])
    if facts["hosts"] > 1:
        shown["hosts"] = f"{facts['hosts']:,}"
    if facts["health"]:
        shown["probes say"] = facts["health"]
    return {"label": facts["label"], **{name: text for name, text in shown.items() if text}}
