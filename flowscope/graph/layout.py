"""Where the nodes of a picture stand: in columns from left to right, as packets travel."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx

_COLUMNS = {"client": 0, "frontend": 1, "snat": 2, "member": 3, "destination": 3}
_SWEEPS = 6

WIDTH, HEIGHT = 208, 46
"""Of a node."""
_GAP_X, _GAP_Y = 240, 30
MARGIN = 24


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of a node: its left upper corner."""

    x: float
    y: float
    column: int


CALLS = "-calls"
"""Added to the id of a member for its second place: on the left, as a caller, like any other client."""


def layout(graph: nx.MultiDiGraph) -> tuple[dict[str, Spot], float, float]:
    """The spots of all nodes, and the width and height that they take.

    Nodes of a column stand next to what they are joined with, so that edges cross little (barycentres, as in
    Sugiyama's method); columns that nobody stands in take no room. A member that calls somebody has a second spot among
    the clients, so that all edges run from left to right; its id there ends in ``CALLS``.
    """
    columns_of = {node: _COLUMNS.get(role, 3) for node, role in graph.nodes(data="role")}
    ends: dict[str, list[str]] = {node: [] for node in graph}
    for source, target in graph.edges():
        begin = outgoing(graph, source)
        columns_of.setdefault(begin, 0)
        ends.setdefault(begin, []).append(target)
        ends[target].append(begin)
    used = sorted(set(columns_of.values()))
    columns = [[node for node, column in columns_of.items() if column == wanted] for wanted in used]
    height_of = {node: float(at) for column in columns for at, node in enumerate(column)}
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            centre = {
                node: sum(height_of[one] for one in ends[node]) / len(ends[node]) if ends[node] else height_of[node]
                for node in column
            }
            column.sort(key=lambda node: (centre[node], node))
            # Centred, so that a column of one stands in the middle of a column of many.
            for at, node in enumerate(column):
                height_of[node] = at - (len(column) - 1) / 2
    tallest = max((len(column) for column in columns), default=0)
    height = 2 * MARGIN + max(tallest * (HEIGHT + _GAP_Y) - _GAP_Y, HEIGHT + 40)
    spots = {}
    for at, column in enumerate(columns):
        free = height - len(column) * (HEIGHT + _GAP_Y) + _GAP_Y
        for row, node in enumerate(column):
            spots[node] = Spot(MARGIN + at * (WIDTH + _GAP_X), free / 2 + row * (HEIGHT + _GAP_Y), at)
    return spots, 2 * MARGIN + max(len(columns), 1) * (WIDTH + _GAP_X) - _GAP_X, height


def outgoing(graph: nx.MultiDiGraph, node: str) -> str:
    """Where the edges that leave a node begin."""
    return f"{node}{CALLS}" if graph.nodes[node]["role"] == "member" else node
