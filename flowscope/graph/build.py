"""Paths become a networkx graph: places are nodes, aggregated legs are edges.

Nodes have opaque ids (``n0``, ``n1``, ...), so no name from a capture can break a format. What is exported is text and
numbers only, never None, so every exporter takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import networkx as nx
import polars as pl

from flowscope.graph.grouping import group_many
from flowscope.graph.hops import hops
from flowscope.nat.outcomes import failed
from flowscope.report.safe_text import safe_line

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

PathGraph: TypeAlias = nx.MultiDiGraph
"""What :func:`path_graph` makes; modules that may not import networkx name it so."""


def path_graph(analysis: Analysis) -> nx.MultiDiGraph:
    """The graph of an analysis.

    Nodes: ``label``, ``role`` (client, frontend, snat, member, destination), ``address``, ``port`` (0 when it does not
    matter), ``name`` (of the topology, else empty), ``hosts`` (how many addresses the node stands for), ``health``
    (what its probers made of it in the end: up, down, unknown; empty when nobody probes it).

    Edges: ``kind`` (leg, translation), ``paths``, ``failed``, ``packets``, ``bytes``, ``outcomes`` (``established 62,
    unanswered 28``), ``findings`` (``F1 F2``), ``translation`` (what the translator at its beginning changed:
    dnat, snat, dnat+snat, proxy; empty for a first leg), ``label``, and ``path_ids``: a tuple of the paths' numbers,
    which the exports leave out.
    """
    found = group_many(_one_place_per_member(hops(analysis)))
    edges = _edges(found, analysis)
    graph = nx.MultiDiGraph(name="flowscope")
    numbers: dict[tuple[Any, ...], str] = {}
    texts = dict(analysis.addresses.select("address", "text").iter_rows())
    for at, edge in enumerate(edges.iter_rows(named=True)):
        ends = []
        for place in (edge["from"], edge["to"]):
            key = tuple(place.values())
            if key not in numbers:
                numbers[key] = f"n{len(numbers)}"
                graph.add_node(numbers[key], **_node(place, texts, analysis))
            ends.append(numbers[key])
        # GraphML takes the key as the edge's id, which must be unique.
        graph.add_edge(*ends, key=f"e{at}", **_edge(edge))
    return graph


def exportable(graph: nx.MultiDiGraph) -> nx.MultiDiGraph:
    """The graph as every format can hold it: without the lists of path numbers."""
    plain = nx.MultiDiGraph(**graph.graph)
    plain.add_nodes_from(graph.nodes(data=True))
    for source, target, key, facts in graph.edges(keys=True, data=True):
        plain.add_edge(source, target, key=key, **{name: fact for name, fact in facts.items() if name != "path_ids"})
    return plain


def _one_place_per_member(found: pl.DataFrame) -> pl.DataFrame:
    """A client that is a member as well is one node, so that a hairpin shows as a circle."""
    members = (
        found.select(pl.col("to").struct.unnest())
        .filter(pl.col("role") == "member")
        .unique("address", keep="first", maintain_order=True)
    )
    clients = found.select(pl.col("from").struct.unnest())
    ports = clients.join(
        members.select("address", pl.col("port").alias("served")), on="address", how="left", maintain_order="left"
    )["served"]
    is_member = (clients["role"] == "client") & ports.is_not_null()
    merged = clients.with_columns(
        pl.when(is_member).then(pl.lit("member")).otherwise("role").alias("role"),
        pl.when(is_member).then(ports).otherwise("port").alias("port"),
    )
    return found.with_columns(merged.to_struct("from"))


def _edges(found: pl.DataFrame, analysis: Analysis) -> pl.DataFrame:
    """Hops that share kind and ends, as one row each, in the order they first appear."""
    ends = ["kind", "from", "to"]
    blamed = pl.DataFrame(
        [(path, finding.id) for finding in analysis.findings for path in finding.paths],
        schema={"path": pl.Int64, "finding": pl.String},
        orient="row",
    )
    totals = found.group_by(ends, maintain_order=True).agg(
        pl.col("path").n_unique().alias("paths"),
        failed(analysis.findings).sum().alias("failed"),
        pl.col("packets", "bytes").sum(),
        pl.col("translation").unique(maintain_order=True).str.join(", "),
        pl.col("path").unique(maintain_order=True).alias("path_ids"),
    )
    outcomes = (
        found.group_by([*ends, "outcome"], maintain_order=True)
        .len()
        .sort("len", descending=True, maintain_order=True)
        .group_by(ends, maintain_order=True)
        .agg(pl.format("{} {}", "outcome", "len").str.join(", ").alias("outcomes"))
    )
    findings = (
        found.join(blamed, on="path", how="inner", maintain_order="left_right")
        .group_by(ends, maintain_order=True)
        .agg(pl.col("finding").unique(maintain_order=True).str.join(" ").alias("findings"))
    )
    return totals.join(outcomes, on=ends, how="left", maintain_order="left").join(
        findings, on=ends, how="left", maintain_order="left"
    )


def _node(place: dict[str, Any], texts: dict[int, str], analysis: Analysis) -> dict[str, Any]:
    role, number, port, hosts = place["role"], place["address"], max(place["port"], 0), place["hosts"]
    if hosts > 1:
        label = f"{hosts} {role}s"
        return {"label": label, "role": role, "address": "", "port": port, "name": "", "hosts": hosts, "health": ""}
    address = texts.get(number, "?")
    host = f"[{address}]" if ":" in address and port else address
    endpoint = f"{host}:{port}" if port else host
    name = safe_line(analysis.topology.name_of(address, port) or "")
    label = f"{name} {endpoint}" if name else endpoint
    return {
        "label": label,
        "role": role,
        "address": address,
        "port": port,
        "name": name,
        "hosts": 1,
        "health": _health(analysis, number) if role == "member" else "",
    }


def _health(analysis: Analysis, member: int) -> str:
    """The last state of a member; down when any of its probers takes it for down."""
    states = {
        health.timeline[-1].state if health.timeline else "unknown"
        for health in analysis.health
        if health.series.member == member
    }
    return next((state for state in ("down", "up", "unknown") if state in states), "")


def _edge(row: dict[str, Any]) -> dict[str, Any]:
    attributes = {
        "kind": row["kind"],
        "paths": row["paths"],
        "failed": row["failed"],
        "packets": row["packets"],
        "bytes": row["bytes"],
        "outcomes": row["outcomes"],
        "findings": row["findings"] or "",
        "translation": row["translation"],
    }
    return {**attributes, "label": edge_label(attributes), "path_ids": tuple(row["path_ids"])}


def edge_label(facts: dict[str, Any]) -> str:
    """``90 paths, 28 failed (F1)``."""
    label = f"{facts['paths']} paths" if facts["paths"] != 1 else "1 path"
    if facts["failed"]:
        label += f", {facts['failed']} failed"
    if facts["findings"]:
        label += f" ({facts['findings']})"
    return label
