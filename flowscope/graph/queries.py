"""Questions that people ask of the graph: which paths lead from here to there, what runs through a member, and where a
failing connection stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx
import polars as pl

from flowscope.errors import FlowscopeError

if TYPE_CHECKING:
    from flowscope.analysis import Analysis


def place(graph: nx.MultiDiGraph, text: str) -> str:
    """The node that people mean by a text: its id, label, name, address or ``address:port``.

    Raises:
        FlowscopeError: no node is called so, or several are; the message names what there is.
    """
    if text in graph:
        return text
    found = [node for node, facts in graph.nodes(data=True) if text in _called(facts)]
    if len(found) == 1:
        return str(found[0])
    names = ", ".join(repr(label) for _, label in graph.nodes(data="label"))
    if not found:
        raise FlowscopeError(f"no place of the graph is called {text!r}; there are {names or 'none'}")
    several = ", ".join(repr(graph.nodes[node]["label"]) for node in found)
    raise FlowscopeError(f"{text!r} may be any of {several}: name its port, or give its id")


def paths_between(graph: nx.MultiDiGraph, begin: str, end: str) -> tuple[int, ...]:
    """Numbers of the paths that come to one place and later to the other, in order.

    Args:
        graph: as :func:`flowscope.graph.build.path_graph` makes it.
        begin: a place, see :func:`place`.
        end: another.
    """
    first, last = place(graph, begin), place(graph, end)
    leaving = _numbers(data for *_, data in graph.out_edges(first, data=True))
    coming = _numbers(data for *_, data in graph.in_edges(last, data=True))
    if first == last:
        return tuple(sorted(leaving & coming))
    # A member may be the caller of one path and the end of another: the edge back to it is not a way from it.
    return tuple(sorted(path for path in leaving & coming if _comes_before(graph, path, first, last)))


def through(graph: nx.MultiDiGraph, at: str) -> nx.MultiDiGraph:
    """Everything that the paths through a place take: a part of the graph.

    ``paths`` and ``path_ids`` are those of these paths only; ``failed``, ``packets``, ``bytes``, ``outcomes``,
    ``findings`` and ``label`` stay those of the whole edge.
    """
    node = place(graph, at)
    edges = [*graph.out_edges(node, data=True), *graph.in_edges(node, data=True)]
    wanted = _numbers(data for *_, data in edges)
    part = nx.MultiDiGraph(**graph.graph)
    for source, target, key, data in graph.edges(keys=True, data=True):
        taken = tuple(path for path in data["path_ids"] if path in wanted)
        if taken:
            part.add_node(source, **graph.nodes[source])
            part.add_node(target, **graph.nodes[target])
            part.add_edge(source, target, key=key, **{**data, "paths": len(taken), "path_ids": taken})
    return part


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a connection stops."""

    path: int
    outcome: str
    leg: str
    """The last leg that was seen: ``10.0.0.9:50001 -> 10.0.0.4:8080``."""
    seen_at: str | None
    """The last point at which a packet of its initiator was seen; None when there was none."""
    answered_at: str | None
    """The point nearest to the initiator that saw an answer; None when nobody did."""

    def __str__(self) -> str:
        """The stop as a sentence."""
        seen = (
            f"its packets were last seen at {self.seen_at}" if self.seen_at else "no packet of its initiator was seen"
        )
        back = f"answers came back as far as {self.answered_at}" if self.answered_at else "no answer was seen anywhere"
        return f"path {self.path} ({self.outcome}) on {self.leg}: {seen}; {back}"


def where_it_stops(analysis: Analysis, path: int) -> Stop:
    """How far the packets of a path got, and how far back its answers.

    Raises:
        FlowscopeError: there is no such path.
    """
    found = analysis.paths.filter(pl.col("path") == path)
    if not found.height:
        raise FlowscopeError(f"there is no path {path}: this analysis has {analysis.paths.height}")
    row = found.row(0, named=True)
    names = {point.number: point.name for point in analysis.points}
    texts = dict(analysis.addresses.select("address", "text").iter_rows())
    seen: str | None = None
    answered: str | None = None
    last = ""
    for number in row["legs"]:
        leg = analysis.legs.filter(pl.col("leg") == number).row(0, named=True)
        ends = [_endpoint(texts[leg[side]], leg[f"{side}_port"]) for side in ("src", "dst")]
        last = " -> ".join(ends)
        for flow in leg["flows"]:
            here = analysis.flows.filter(pl.col("flow") == flow).row(0, named=True)
            point = names.get(here["point"], "?")
            if here["fwd_packets"]:
                seen = point
            if here["rev_packets"] and answered is None:
                answered = point
    return Stop(path, row["outcome"], last, seen, answered)


def _called(facts: dict[str, object]) -> tuple[object, ...]:
    port = facts["port"]
    endpoint = _endpoint(str(facts["address"]), int(str(port))) if port else facts["address"]
    return tuple(one for one in (facts["label"], facts["name"], facts["address"], endpoint) if one)


def _numbers(edges: object) -> set[int]:
    return {path for data in edges for path in data["path_ids"]}  # type: ignore[attr-defined]


def _comes_before(graph: nx.MultiDiGraph, path: int, first: str, last: str) -> bool:
    """True when the edges that a path takes lead from one node to the other."""
    way = nx.DiGraph()
    way.add_edges_from((source, target) for source, target, data in graph.edges(data=True) if path in data["path_ids"])
    return first in way and last in way and nx.has_path(way, first, last)


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
