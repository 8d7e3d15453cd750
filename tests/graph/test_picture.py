"""The picture: left to right, nothing on top of anything, and small however many there are."""

from __future__ import annotations

import re
from itertools import pairwise

import networkx as nx
import pytest

from flowscope.graph.build import path_graph
from flowscope.graph.condense import KEPT, MANY, condensed
from flowscope.graph.layout import CALLS, HEIGHT, WIDTH, layout
from flowscope.graph.picture import picture
from tests.traffic import balanced, legs, paths, scattered


def test_columns_go_with_the_packets() -> None:
    spots, _, _ = layout(path_graph(balanced()))
    assert spots["n0"].x < spots["n1"].x < spots["n2"].x


def test_nodes_do_not_overlap() -> None:
    spots, width, height = layout(path_graph(scattered(MANY)))
    places = sorted((spot.x, spot.y) for spot in spots.values())
    assert all(x != next_x or next_y - y > HEIGHT for (x, y), (next_x, next_y) in pairwise(places))
    assert all(0 <= x <= width - WIDTH and 0 <= y <= height - HEIGHT for x, y in places)


def test_a_member_that_calls_stands_on_both_sides() -> None:
    first = {"src": 0, "src_port": 1, "dst": 1, "dst_port": 80}
    last = {"src": 0, "src_port": 1, "dst": 0, "dst_port": 8080}
    graph = path_graph(
        balanced(
            legs=legs({**first, "flows": [0]}, {**last, "flows": [1]}),
            paths=paths({"legs": [0, 1], "client": 0, "frontend": 1, "frontend_port": 80, "backend": 0}),
        )
    )
    spots, _, _ = layout(graph)
    (member,) = (node for node, role in graph.nodes(data="role") if role == "member")
    assert spots[f"{member}{CALLS}"].x < spots[member].x
    parts = [one for one in picture(graph).iter("g") if (one.get("class") or "").startswith("node")]
    assert len({one.get("id") for one in parts}) == 3
    assert len({one.get("data-key") for one in parts}) == 2


def test_what_failed_stands_out_without_colour() -> None:
    edges = [one for one in picture(path_graph(scattered(5))).iter("g") if (one.get("class") or "").startswith("edge")]
    failed = [one for one in edges if "failed" in (one.get("class") or "").split()]
    assert len(failed) == 3
    for one in failed:
        kinds = [part.get("class") for part in one]
        assert "cross" in kinds
        assert "all 1 failed" in [part.text for part in one.iter("text")]
    assert not [one for one in edges if one not in failed and "cross" in [part.get("class") for part in one]]


def test_very_many_places_become_a_few() -> None:
    whole = path_graph(scattered(300))
    few = condensed(whole)
    assert len(few) == 2 * (KEPT + 1)
    for name in ("paths", "failed", "packets", "bytes"):
        assert sum(one for *_, one in few.edges(data=name)) == sum(one for *_, one in whole.edges(data=name))
    assert sum(len(one) for *_, one in few.edges(data="path_ids")) == 300
    # What failed is never among the others.
    assert all("other" not in few.nodes[source]["label"] for source, _, one in few.edges(data="failed") if one)
    outcomes = few.get_edge_data("other-clients", "other-destinations")
    assert [one["outcomes"] for one in outcomes.values()] == [f"established {300 - KEPT}"]


def test_a_few_stay_as_they_are() -> None:
    graph = path_graph(scattered(MANY))
    assert condensed(graph) is graph


@pytest.mark.parametrize("count", [1, MANY, 3000])
def test_the_picture_stays_small(count: int) -> None:
    drawing = picture(condensed(path_graph(scattered(count))))
    assert float(drawing.get("height") or 0) < 3000
    assert len(list(drawing.iter("g"))) < 4 * MANY


def test_no_edge_runs_through_a_place() -> None:
    graph = nx.MultiDiGraph()
    usual = {"address": "", "port": 0, "name": "", "hosts": 1, "health": ""}
    roles = {"c": "client", "d": "client", "f": "frontend", "g": "frontend", "s": "snat", "m": "member", "n": "member"}
    for node, role in roles.items():
        graph.add_node(node, label=node, role=role, **usual)
    counts = {"paths": 1, "failed": 0, "packets": 1, "bytes": 1, "outcomes": "", "findings": "", "translation": ""}
    # Every client to every frontend, SNAT address and member: most of these pass a column.
    pairs = [(begin, end) for begin in "cd" for end in "fgsmn"] + [("f", "m"), ("g", "n"), ("s", "m")]
    for begin, end in pairs:
        graph.add_edge(begin, end, key=f"{begin}{end}", kind="leg", **counts)
    drawn = picture(graph)
    boxes = {}
    for one in drawn.iter("g"):
        rect = one.find("rect")
        if rect is not None:
            boxes[one.get("data-key")] = (float(rect.get("x") or 0), float(rect.get("y") or 0))
    for one in drawn.iter("g"):
        lines = [part for part in one if part.get("class") == "line"]
        if not lines:
            continue
        numbers = [float(text) for text in re.findall(r"-?[\d.]+", lines[0].get("d") or "")]
        own = set(one.get("data-key") or "")
        for at in range(101):
            x, y = bezier(numbers, at / 100)
            hit = [node for node, (left, top) in boxes.items() if left < x < left + WIDTH and top < y < top + HEIGHT]
            assert set(hit) <= own, (one.get("data-key"), hit)


def bezier(numbers: list[float], at: float) -> tuple[float, float]:
    """A point of the cubic with these four points."""
    shares = ((1 - at) ** 3, 3 * (1 - at) ** 2 * at, 3 * (1 - at) * at**2, at**3)
    return (
        sum(share * x for share, x in zip(shares, numbers[::2], strict=True)),
        sum(share * y for share, y in zip(shares, numbers[1::2], strict=True)),
    )
