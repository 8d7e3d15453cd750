"""The graph as a drawing: nodes in columns, legs as arrows; what failed is dashed, crossed and says how often."""

from __future__ import annotations

from math import log10
from pathlib import Path
from typing import Any

import networkx as nx

from flowscope.graph.layout import CALLS, HEIGHT, MARGIN, WIDTH, Spot, layout, outgoing
from flowscope.report.layout import counted, shortened
from flowscope.report.markup import Element, element

_HEADINGS = {"client": "clients", "frontend": "frontends", "snat": "SNAT addresses", "member": "members",
             "destination": "destinations"}  # fmt: skip
_TOP = 26
_SIGNS = {"up": "▲ up", "down": "▼ down", "unknown": "? health unknown"}


def style() -> str:
    """The style sheet of the drawing; it needs the page's colours."""
    return (Path(__file__).parent / "picture.css").read_text(encoding="utf-8")


def picture(graph: nx.MultiDiGraph) -> Element:
    """The drawing as one ``svg`` element; ids of its parts are those of the graph."""
    spots, width, height = layout(graph)
    order = _bends(graph, spots)
    passing = _around(graph, spots)
    above = max((-y for y, _ in passing.values()), default=0.0)
    shift = _TOP + max(above + MARGIN, 0.0) if passing else float(_TOP)
    below = max(
        [bend for bend, _ in order.values()] + [y + HEIGHT - height + MARGIN for y, _ in passing.values()], default=0.0
    )
    below = max(below, 0.0)
    edges = [
        _edge(spots[outgoing(graph, source)], spots[target], key, facts, order[key], shift, passing.get(key))
        for source, target, key, facts in graph.edges(keys=True, data=True)
    ]
    nodes = [_node(node, graph.nodes[node.removesuffix(CALLS)], spot, shift) for node, spot in spots.items()]
    headings = [
        element("text", text, x=MARGIN + column * _step(spots) + WIDTH / 2, y=20, class_="heading")
        for column, text in _headings(graph, spots).items()
    ]
    failed = sum(facts["failed"] for *_, facts in graph.edges(data=True) if facts["kind"] == "leg")
    told = f"{counted(len(graph), 'place')}, {counted(graph.number_of_edges(), 'kind of leg', 'kinds of legs')}"
    return element(
        "svg",
        element("title", "Paths as a graph, left to right as packets travel"),
        element("desc", f"{told}, {'none of them failed' if not failed else 'failed ones dashed and crossed'}."),
        element("g", *headings, *edges, *nodes, class_="stage"),
        viewBox=f"0 0 {width:.0f} {height + shift + below:.0f}",
        width=f"{width:.0f}",
        height=f"{height + shift + below:.0f}",
        role="group",
        aria_label="Paths as a graph",
        class_="path-graph",
    )


def _step(spots: dict[str, Spot]) -> float:
    xs = sorted({spot.x for spot in spots.values()})
    return xs[1] - xs[0] if len(xs) > 1 else 0.0


def _headings(graph: nx.MultiDiGraph, spots: dict[str, Spot]) -> dict[int, str]:
    found: dict[int, list[str]] = {}
    for node, spot in spots.items():
        names = found.setdefault(spot.column, [])
        role = "client" if node.endswith(CALLS) else graph.nodes[node]["role"]
        if _HEADINGS.get(role, role) not in names:
            names.append(_HEADINGS.get(role, role))
    return {column: ", ".join(names) for column, names in found.items()}


def _bends(graph: nx.MultiDiGraph, spots: dict[str, Spot]) -> dict[str, tuple[float, float]]:
    """How far each edge bends below its ends, and where along it its label stands.

    Edges between the same two places bend apart. Of a fan of edges each label stands near the end of its own, or the
    labels would lie on one another.
    """
    found = {}
    again: dict[tuple[str, str], int] = {}
    for source, target, key in graph.edges(keys=True):
        pair = (source, target)
        again[pair] = again.get(pair, -1) + 1
        back = spots[target].column <= spots[outgoing(graph, source)].column
        leaves, comes = graph.out_degree(source), graph.in_degree(target)
        found[key] = (
            26.0 * again[pair] + (30.0 if back else 0),
            0.5 if leaves == comes else 0.7 if leaves > comes else 0.3,
        )
    return found


def _around(graph: nx.MultiDiGraph, spots: dict[str, Spot]) -> dict[str, tuple[float, float]]:
    """Edges in whose way somebody stands: the height at which they pass, and that of both controls of their curve.

    Heights are middles of nodes. Edges that pass on the same side keep the order of their ends, so they do not cross.
    """
    ways: dict[bool, list[tuple[float, str, Spot, Spot, list[Spot]]]] = {True: [], False: []}
    for source, target, key in graph.edges(keys=True):
        begin, end = spots[outgoing(graph, source)], spots[target]
        between = [spot for spot in spots.values() if begin.column < spot.column < end.column]
        if any(_meets(begin, end, spot) for spot in between):
            heights = [spot.y for spot in between]
            over = (begin.y + end.y) / 2 - min(heights) <= max(heights) - (begin.y + end.y) / 2
            ways[over].append((end.y, key, begin, end, between))
    found = {}
    for over, some in ways.items():
        for nth, (_, key, begin, end, between) in enumerate(sorted(some, key=lambda one: one[:2], reverse=over)):
            away = HEIGHT / 2 + 20 + 20 * nth
            height = min(spot.y for spot in between) - away if over else max(spot.y for spot in between) + away
            pulls = [
                (height - (1 - at) ** 3 * begin.y - at**3 * end.y) / (3 * at * (1 - at))
                for spot in between
                for edge in (spot.x, spot.x + WIDTH)
                if 0.05 < (at := (edge - begin.x - WIDTH) / (end.x - begin.x - WIDTH)) < 0.95
            ]
            found[key] = (height, min(pulls) if over else max(pulls))
    return found


def _meets(begin: Spot, end: Spot, spot: Spot) -> bool:
    """True when the plain curve between two nodes would touch a third one."""
    reach = (end.x - begin.x - WIDTH) * 0.45
    curve = ((begin.x + WIDTH, begin.y), (begin.x + WIDTH + reach, begin.y), (end.x - reach, end.y), (end.x, end.y))
    spots = (_along(curve, at / 24) for at in range(25))
    return any(spot.x - 6 < x < spot.x + WIDTH + 6 and abs(y - spot.y) < HEIGHT / 2 + 8 for x, y in spots)


def _edge(
    begin: Spot,
    end: Spot,
    key: str,
    facts: dict[str, Any],
    bend: tuple[float, float],
    top: float,
    passing: tuple[float, float] | None,
) -> Element:
    y0, y1 = begin.y + top + HEIGHT / 2, end.y + top + HEIGHT / 2
    # Backwards, or within a column, an edge leaves and arrives on the same side.
    back = end.column <= begin.column
    x0, x1 = begin.x + WIDTH, end.x + WIDTH + 9 if back else end.x - 9
    into = 1 if back else -1
    reach = max(abs(x1 - x0) * 0.45, 60.0)
    points = ((x0, y0), (x0 + reach, y0 + bend[0]), (x1 + into * reach, y1 + bend[0]), (x1, y1))
    if passing is not None:
        pull = passing[1] + top + HEIGHT / 2
        points = ((x0, y0), (x0 + (x1 - x0) / 3, pull), (x1 - (x1 - x0) / 3, pull), (x1, y1))
    curve = "M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}".format(
        *(one for point in points for one in point)
    )
    width = 1.4 + 1.3 * log10(max(facts["paths"], 1))
    bad = " failed" if facts["failed"] else ""
    all_bad = " all-failed" if facts["failed"] and facts["failed"] == facts["paths"] else ""
    x, y = _along(points, bend[1])
    words = sentence(facts)
    mark = None
    if facts["failed"]:
        mark = element("path", d=f"M{x - 6:.1f} {y - 20:.1f}l12 12m0 -12l-12 12", class_="cross")
    return element(
        "g",
        element("title", words),
        element("path", d=curve, class_="grip"),
        element("path", d=curve, class_="line", stroke_width=width),
        element("path", d=f"M{x1 - into * 9:.1f} {y1:.1f}l{into * 10} -5.5v11z", class_="tip"),
        mark,
        element("text", _label(facts), x=x, y=y + 4, class_="edge-label"),
        id=f"edge-{key}",
        class_=f"edge {facts['kind']}{bad}{all_bad}",
        tabindex=0,
        role="button",
        aria_label=words,
        data_key=key,
    )


def _along(points: tuple[tuple[float, float], ...], at: float) -> tuple[float, float]:
    """A point of a cubic Bézier curve."""
    rest = 1 - at
    shares = (rest**3, 3 * rest**2 * at, 3 * rest * at**2, at**3)
    return (
        sum(share * x for share, (x, _) in zip(shares, points, strict=True)),
        sum(share * y for share, (_, y) in zip(shares, points, strict=True)),
    )


def _label(facts: dict[str, Any]) -> str:
    if facts["kind"] == "translation":
        return f"{facts['translation']}"
    paths = f"{facts['paths']:,}"
    if not facts["failed"]:
        return paths
    failed = f"all {paths}" if facts["failed"] == facts["paths"] else f"{facts['failed']:,} of {paths}"
    named = f" ({facts['findings']})" if facts["findings"] and len(facts["findings"]) < 12 else ""
    return f"{failed} failed{named}"


def sentence(facts: dict[str, Any]) -> str:
    """An edge in words."""
    text = f"{counted(facts['paths'], 'path')}: {facts['outcomes']}"
    if facts["kind"] == "leg":
        text += f"; {counted(facts['packets'], 'packet')}, {counted(facts['bytes'], 'byte')}"
    if facts["translation"]:
        text += f"; after {facts['translation']}"
    return f"{text}; findings {facts['findings']}" if facts["findings"] else text


def _node(node: str, facts: dict[str, Any], spot: Spot, top: float) -> Element:
    title, detail = _names(facts)
    sign = _SIGNS.get(facts["health"], "")
    x, y = spot.x, spot.y + top
    return element(
        "g",
        element("title", f"{facts['role']} {facts['label']}{f', {sign}' if sign else ''}"),
        element("rect", x=x, y=y, width=WIDTH, height=HEIGHT, rx=22 if facts["role"] == "client" else 6),
        element("text", shortened(title, 28), x=x + WIDTH / 2, y=y + (20 if detail else 28), class_="title"),
        element("text", detail, x=x + WIDTH / 2, y=y + 37, class_="detail") if detail else None,
        element("text", sign, x=x + WIDTH, y=y - 4, class_=f"health {facts['health']}") if sign else None,
        id=f"node-{node}",
        class_=f"node {facts['role']} {facts['health']}".rstrip(),
        tabindex=0,
        role="button",
        aria_label=f"{facts['role']} {facts['label']}{f', {sign}' if sign else ''}",
        data_key=node.removesuffix(CALLS),
    )


def _names(facts: dict[str, Any]) -> tuple[str, str]:
    if facts["hosts"] > 1:
        return facts["label"], f"port {facts['port']}" if facts["port"] else ""
    if not facts["name"]:
        return facts["label"], ""
    return facts["name"], shortened(facts["label"].removeprefix(f"{facts['name']} "), 34)
