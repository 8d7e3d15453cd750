"""What people ask of the graph."""

from __future__ import annotations

from typing import Any

import pytest

from flowscope.errors import FlowscopeError
from flowscope.graph.build import path_graph
from flowscope.graph.queries import paths_between, place, through, where_it_stops
from flowscope.nat.topology import Member, Pool, Topology
from tests.traffic import addresses, analysis, balanced, flows, legs, paths, point


@pytest.fixture
def two() -> Any:
    """10.0.0.9 reaches 10.0.0.4, 10.0.0.8 reaches 10.0.0.5, both through 10.0.0.100:80; the second gets no answer."""
    ends = [
        {"src": 0, "src_port": 1, "dst": 2, "dst_port": 80}, {"src": 0, "src_port": 1, "dst": 3, "dst_port": 8080},
        {"src": 1, "src_port": 1, "dst": 2, "dst_port": 80}, {"src": 1, "src_port": 1, "dst": 4, "dst_port": 8080},
    ]  # fmt: skip
    silent = {"rev_packets": 0}
    roles = {"client_port": 1, "frontend": 2, "frontend_port": 80, "backend_port": 8080}
    return analysis(
        points=[point(0, "lb"), point(1, "vm")],
        addresses=addresses("10.0.0.9", "10.0.0.8", "10.0.0.100", "10.0.0.4", "10.0.0.5"),
        topology=Topology(pools=(Pool("web", (Member("vm1", "10.0.0.4", 8080), Member("vm2", "10.0.0.5", 8080))),)),
        flows=flows(ends[0], {**ends[1], "point": 1}, {**ends[2], **silent}, {**ends[3], **silent}),
        legs=legs(*({**one, "flows": [at]} for at, one in enumerate(ends))),
        paths=paths(
            {"legs": [0, 1], "client": 0, "backend": 3, **roles},
            {"legs": [2, 3], "client": 1, "backend": 4, "outcome": "unanswered", **roles},
        ),
    )


@pytest.mark.parametrize("text", ["vm1", "10.0.0.4", "10.0.0.4:8080", "vm1 10.0.0.4:8080"])
def test_a_place_has_many_names(two: Any, text: str) -> None:
    graph = path_graph(two)
    assert graph.nodes[place(graph, text)]["address"] == "10.0.0.4"


def test_an_unknown_place_is_told_with_those_there_are(two: Any) -> None:
    with pytest.raises(FlowscopeError, match=r"no place .* 'vm9'; there are .*'vm1 10\.0\.0\.4:8080'"):
        place(path_graph(two), "vm9")


def test_paths_between(two: Any) -> None:
    graph = path_graph(two)
    assert paths_between(graph, "10.0.0.9", "vm1") == (0,)
    assert paths_between(graph, "10.0.0.100", "vm2") == (1,)
    # Both lie on the frontend, but no path takes this way.
    assert paths_between(graph, "10.0.0.9", "vm2") == ()
    assert paths_between(graph, "vm1", "10.0.0.9") == ()


def test_through_a_member(two: Any) -> None:
    part = through(path_graph(two), "vm2")
    assert sorted(label for _, label in part.nodes(data="label")) == ["10.0.0.100:80", "10.0.0.8", "vm2 10.0.0.5:8080"]
    assert [facts["path_ids"] for *_, facts in part.edges(data=True)] == [(1,), (1,)]


def test_a_hairpin_leads_from_a_member_to_itself() -> None:
    first = {"src": 0, "src_port": 1, "dst": 1, "dst_port": 80}
    last = {"src": 0, "src_port": 1, "dst": 0, "dst_port": 8080}
    graph = path_graph(
        balanced(
            legs=legs({**first, "flows": [0]}, {**last, "flows": [1]}),
            paths=paths({"legs": [0, 1], "client": 0, "frontend": 1, "frontend_port": 80, "backend": 0}),
        )
    )
    assert paths_between(graph, "10.0.0.9", "10.0.0.9") == (0,)


def test_where_it_stops(two: Any) -> None:
    stop = where_it_stops(two, 1)
    assert (stop.leg, stop.seen_at, stop.answered_at) == ("10.0.0.8:1 -> 10.0.0.5:8080", "lb", None)
    assert str(stop).endswith("its packets were last seen at lb; no answer was seen anywhere")
    assert where_it_stops(two, 0).seen_at == "vm"


def test_a_path_that_is_not_there(two: Any) -> None:
    with pytest.raises(FlowscopeError, match="no path 9"):
        where_it_stops(two, 9)
