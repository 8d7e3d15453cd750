"""Flows of one stretch of a connection are one leg, however many points saw it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from flowscope.analysis import analyze
from tests.wire import ACK, MS, PSH, RST, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

A, B = ("192.0.2.1", 5000), ("192.0.2.9", 80)


def two_points() -> list[Hop]:
    return [Hop("near", A, B, 64, 10_000), Hop("far", A, B, 64, 200_000)]


def test_two_points_see_one_leg_upstream_first(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, [Hop("near", A, B, 64, 10_000), Hop("routed", A, B, 62, 200_000)])
    analysis = analyze(wire.write(tmp_path))
    assert analysis.legs.height == 1
    order = [analysis.points[analysis.flows["point"][flow]].name for flow in analysis.legs["flows"][0]]
    assert order == ["near", "routed"]


def test_a_new_isn_on_the_same_tuple_is_a_new_leg(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, two_points(), T0, isn=1000)
    accept(wire, two_points(), T0 + 900 * MS, isn=70000, answer=80000)
    analysis = analyze(wire.write(tmp_path))
    assert analysis.legs.height == 2
    assert analysis.legs["flows"].list.len().to_list() == [2, 2]


def test_a_flow_without_syn_joins_the_leg_whose_numbers_it_continues(tmp_path: Path) -> None:
    wire, hops = Wire(), two_points()
    for at, isn in enumerate((1000, 4_000_000_000)):
        accept(wire, hops[:1], T0 + at * 500 * MS, isn=isn, answer=isn + 7)
    # The far point starts late: it sees data of the second connection only.
    wire.packet(hops[1:], T0 + 520 * MS, PSH | ACK, 4_000_000_001, 4_000_000_008, b"question 4000000000")
    analysis = analyze(wire.write(tmp_path))
    late = analysis.flows.filter(pl.col("fwd_isn").is_null())["leg"].to_list()
    second = analysis.flows.filter(pl.col("fwd_isn") == 4_000_000_000)["leg"].to_list()
    assert late == second


def test_a_flow_without_syn_is_turned_like_its_leg(tmp_path: Path) -> None:
    wire, hops = Wire(), two_points()
    accept(wire, hops[:1])
    wire.packet(hops[1:], T0 + 10 * MS, PSH | ACK, 9001, 1001 + 13, b"answer 9000", back=True)
    analysis = analyze(wire.write(tmp_path))
    far = analysis.flows.filter(pl.col("fwd_isn").is_null()).row(0, named=True)
    assert (far["src_port"], far["turned"]) == (5000, True)
    assert (far["rev_payload_bytes"], far["fwd_payload_bytes"]) == (len(b"answer 9000"), 0)
    events = analysis.events.filter(pl.col("flow") == far["flow"], pl.col("length") > 0)
    assert events["half"].to_list() == [1]


def test_the_topology_knows_which_side_answers(tmp_path: Path) -> None:
    topology = tmp_path / "t.toml"
    topology.write_text('[[frontend]]\naddress = "192.0.2.9"\nport = 80\n')
    wire = Wire()
    wire.packet([Hop("p", A, B)], T0, PSH | ACK, 1, 1, b"late answer", back=True)
    capture = wire.write(tmp_path)
    assert analyze(capture).flows["dst_port"].to_list() == [5000]
    assert analyze(capture, topology=str(topology)).flows["dst_port"].to_list() == [80]


def test_rst_then_the_same_syn_is_one_flow(tmp_path: Path) -> None:
    wire, hops = Wire(), two_points()[:1]
    wire.packet(hops, T0, 2, 1000)
    wire.packet(hops, T0 + MS, RST | ACK, 0, 1001, back=True)
    wire.packet(hops, T0 + 500 * MS, 2, 1000)
    assert analyze(wire.write(tmp_path)).flows.height == 1
