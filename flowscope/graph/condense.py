"""A graph that a person can look at: of very many places of one kind those that matter stay, the rest become one."""

from __future__ import annotations

from typing import Any

import networkx as nx

from flowscope.graph.build import edge_label

MANY = 24
"""More places of one kind than this are condensed ..."""
KEPT = 12
"""... to so many of them, those with most failed paths first, then with most paths."""


def condensed(graph: nx.MultiDiGraph) -> nx.MultiDiGraph:
    """The same graph with at most ``KEPT + 1`` places of any kind that has more than ``MANY``.

    Numbers of merged edges are summed; the ids of places and edges that stay are those of the graph.
    """
    other: dict[str, str] = {}
    made = nx.MultiDiGraph(**graph.graph)
    merged: dict[str, dict[str, Any]] = {}
    for role in dict.fromkeys(role for _, role in graph.nodes(data="role")):
        places = [node for node, one in graph.nodes(data="role") if one == role]
        if len(places) <= MANY:
            continue
        places.sort(key=lambda node: (*(-one for one in _weight(graph, node)), node))
        rest = places[KEPT:]
        hosts = sum(graph.nodes[node]["hosts"] for node in rest)
        facts = {
            "label": f"{hosts:,} other {role}s",
            "role": role,
            "address": "",
            "port": 0,
            "name": "",
            "hosts": hosts,
        }
        merged[f"other-{role}s"] = {**facts, "health": ""}
        other |= dict.fromkeys(rest, f"other-{role}s")
    if not merged:
        return graph
    for node, facts in graph.nodes(data=True):
        name = other.get(node, node)
        if name not in made:
            made.add_node(name, **merged.get(name, facts))
    same: dict[tuple[str, str, str], str] = {}
    for source, target, key, facts in graph.edges(keys=True, data=True):
        begin, end = other.get(source, source), other.get(target, target)
        kind = (begin, end, facts["kind"])
        if (begin, end) == (source, target) or kind not in same:
            same[kind] = key
            made.add_edge(begin, end, key=key, **facts)
        else:
            _add(made.get_edge_data(begin, end, same[kind]), facts)
    return made


def _weight(graph: nx.MultiDiGraph, node: str) -> tuple[int, int]:
    edges = [*graph.in_edges(node, data=True), *graph.out_edges(node, data=True)]
    return sum(facts["failed"] for *_, facts in edges), sum(facts["paths"] for *_, facts in edges)


def _add(into: dict[str, Any], facts: dict[str, Any]) -> None:
    """Puts the numbers of an edge into another one."""
    for name in ("paths", "failed", "packets", "bytes"):
        into[name] += facts[name]
    counts: dict[str, int] = {}
    for text in (into["outcomes"], facts["outcomes"]):
        for one in text.split(", "):
            outcome, _, number = one.rpartition(" ")
            counts[outcome] = counts.get(outcome, 0) + int(number)
    into["outcomes"] = ", ".join(f"{name} {n}" for name, n in sorted(counts.items(), key=lambda one: (-one[1], one[0])))
    for name, separator in (("findings", " "), ("translation", ", ")):
        texts = [one for text in (into[name], facts[name]) for one in text.split(separator) if one]
        into[name] = separator.join(dict.fromkeys(texts))
    if "path_ids" in facts:
        into["path_ids"] = (*into["path_ids"], *facts["path_ids"])
    into["label"] = edge_label(into)
