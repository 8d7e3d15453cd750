"""Paths become nodes and edges."""

from __future__ import annotations

from typing import Any

import polars as pl

from flowscope.graph.build import path_graph
from flowscope.nat.topology import Member, Pool, Topology
from tests.report.findings import hairpin
from tests.traffic import addresses, analysis, balanced, flows, legs, paths


def nodes(graph: Any) -> list[tuple[str, str]]:
    return [(facts["role"], facts["label"]) for _, facts in graph.nodes(data=True)]


def edges(graph: Any) -> list[tuple[str, str, str]]:
    label = dict(graph.nodes(data="label"))
    return [(label[source], label[target], facts["kind"]) for source, target, facts in graph.edges(data=True)]


def test_client_frontend_member() -> None:
    graph = path_graph(balanced(findings=[hairpin()]))
    assert nodes(graph) == [("client", "10.0.0.9"), ("frontend", "10.0.0.100:80"), ("member", "10.0.0.4:8080")]
    assert edges(graph) == [("10.0.0.9", "10.0.0.100:80", "leg"), ("10.0.0.100:80", "10.0.0.4:8080", "leg")]
    facts = graph.get_edge_data("n0", "n1", "e0")
    assert facts == {
        "kind": "leg", "paths": 1, "failed": 1, "packets": 9, "bytes": 900, "outcomes": "established 1",
        "findings": "F1", "translation": "", "label": "1 path, 1 failed (F1)", "path_ids": (0,),
    }  # fmt: skip


def test_translations_are_named() -> None:
    graph = path_graph(balanced())
    assert [facts["translation"] for *_, facts in graph.edges(data=True)] == ["", "dnat"]


def test_a_call_that_nobody_passed_on_ends_at_the_frontend() -> None:
    one = balanced()
    call = {"src": 0, "src_port": 2, "dst": 1, "dst_port": 80}
    graph = path_graph(
        balanced(
            legs=pl.concat([one.legs, legs({**call, "leg": 2, "flows": []})]),
            paths=pl.concat(
                [
                    one.paths,
                    paths(
                        {
                            "path": 1,
                            "legs": [2],
                            "client": 0,
                            "client_port": 2,
                            "backend": 1,
                            "backend_port": 80,
                            "outcome": "unanswered",
                        }
                    ),
                ]
            ),
        )
    )
    assert len(graph) == 3
    facts = graph.get_edge_data("n0", "n1", "e0")
    assert (facts["paths"], facts["failed"]) == (2, 1)


def test_no_translation_is_one_edge() -> None:
    ends = {"src": 0, "src_port": 1, "dst": 1, "dst_port": 443}
    graph = path_graph(
        analysis(
            addresses=addresses("2001:db8::9", "2001:db8::4"),
            flows=flows(ends),
            legs=legs({**ends, "flows": [0]}),
            paths=paths({"legs": [0], "client": 0, "client_port": 1, "backend": 1, "backend_port": 443}),
        )
    )
    assert nodes(graph) == [("client", "2001:db8::9"), ("destination", "[2001:db8::4]:443")]


def translated(first: dict[str, Any], last: dict[str, Any], frontend: int | None, **more: Any) -> Any:
    """One path of two legs between the given ends."""
    roles = {"client": first["src"], "backend": last["dst"], "frontend": frontend, "snat": last["src"]}
    return analysis(
        addresses=addresses("10.0.0.9", "10.0.0.100", "20.1.1.1", "10.0.0.4"),
        flows=flows(first, last),
        legs=legs({**first, "flows": [0]}, {**last, "flows": [1]}),
        paths=paths({"legs": [0, 1], **roles}),
        **more,
    )


def test_source_translation_runs_through_the_snat_address() -> None:
    first = {"src": 0, "src_port": 1, "dst": 3, "dst_port": 443}
    graph = path_graph(translated(first, {**first, "src": 2, "src_port": 2}, None))
    assert edges(graph) == [("10.0.0.9", "20.1.1.1", "leg"), ("20.1.1.1", "10.0.0.4:443", "leg")]


def test_full_translation_joins_frontend_and_snat_address() -> None:
    first = {"src": 0, "src_port": 1, "dst": 1, "dst_port": 80}
    graph = path_graph(translated(first, {"src": 2, "src_port": 2, "dst": 3, "dst_port": 8080}, 1))
    assert {facts["translation"] for *_, facts in graph.edges(data=True)} == {"", "dnat+snat"}
    assert set(edges(graph)) == {
        ("10.0.0.9", "10.0.0.100:80", "leg"),
        ("10.0.0.100:80", "20.1.1.1", "translation"),
        ("20.1.1.1", "10.0.0.4:8080", "leg"),
    }


def test_a_hairpin_is_a_circle() -> None:
    first = {"src": 0, "src_port": 1, "dst": 1, "dst_port": 80}
    report = translated(first, {"src": 0, "src_port": 1, "dst": 0, "dst_port": 8080}, 1)
    report.paths = report.paths.with_columns(outcome=report.paths["outcome"].str.replace("established", "unanswered"))
    graph = path_graph(report)
    assert nodes(graph) == [("member", "10.0.0.9:8080"), ("frontend", "10.0.0.100:80")]
    assert [(source, target) for source, target in graph.edges()] == [("n0", "n1"), ("n1", "n0")]
    assert {facts["failed"] for *_, facts in graph.edges(data=True)} == {1}


def many(count: int) -> Any:
    """Many clients of one balanced member."""
    one = balanced()
    texts = ["10.0.0.100", "10.0.0.4", *(f"10.1.0.{at}" for at in range(count))]
    first = [{"src": at + 2, "src_port": 1, "dst": 0, "dst_port": 80, "flows": []} for at in range(count)]
    last = [{"src": at + 2, "src_port": 1, "dst": 1, "dst_port": 8080, "flows": []} for at in range(count)]
    rows = [
        {"legs": [at, count + at], "client": at + 2, "client_port": 1, "frontend": 0, "frontend_port": 80, "backend": 1}
        for at in range(count)
    ]
    return analysis(addresses=addresses(*texts), flows=one.flows, legs=legs(*first, *last), paths=paths(*rows))


def test_many_clients_of_one_frontend_are_one_node() -> None:
    graph = path_graph(many(21))
    assert nodes(graph) == [("client", "21 clients"), ("frontend", "10.0.0.100:80"), ("member", "10.0.0.4:8080")]
    assert graph.nodes["n0"]["hosts"] == 21
    assert graph.get_edge_data("n0", "n1", "e0")["paths"] == 21


def test_a_few_clients_stay_apart() -> None:
    assert len(path_graph(many(20))) == 22


def test_names_come_from_the_topology_and_are_safe() -> None:
    topology = Topology(pools=(Pool("web", (Member("vm\x00\x1b1", "10.0.0.4", 8080),)),))
    graph = path_graph(balanced(topology=topology))
    assert graph.nodes["n2"]["name"] == "vm\\x00\\x1b1"


def test_no_attribute_is_none() -> None:
    graph = path_graph(balanced())
    values = [value for _, facts in graph.nodes(data=True) for value in facts.values()]
    values += [value for *_, facts in graph.edges(data=True) for value in facts.values()]
    assert None not in values


def test_nothing_is_an_empty_graph() -> None:
    assert len(path_graph(analysis())) == 0
