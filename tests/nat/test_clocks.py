"""Offsets between points, and that the true one lies within the stated error."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowscope.analysis import analyze
from flowscope.nat.clocks import Clock, Clocks
from tests.wire import ACK, MS, PSH, RST, SYN, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

A, B = ("192.0.2.1", 5000), ("192.0.2.9", 80)


@settings(max_examples=20, deadline=None)
@given(
    ahead_ns=st.integers(-(10**12), 10**12),
    delays=st.lists(st.integers(1_000, 5_000_000), min_size=1, max_size=6),
)
def test_the_true_offset_lies_within_the_error(
    tmp_path_factory: pytest.TempPathFactory, ahead_ns: int, delays: list[int]
) -> None:
    wire = Wire(clock_ns={"far": ahead_ns})
    for at, delay in enumerate(delays):
        hops = [
            Hop("near", ("192.0.2.1", 5000 + at), B, 64, 1_000),
            Hop("far", ("192.0.2.1", 5000 + at), B, 64, 1_000 + delay),
        ]
        accept(wire, hops, T0 + at * 100 * MS, isn=100_000 * at, answer=5)
    points = {point.name: point for point in analyze(wire.write(tmp_path_factory.mktemp("clock"))).points}
    measured = points["near"].clock_offset_ns - points["far"].clock_offset_ns
    doubt = points["near"].clock_error_ns + points["far"].clock_error_ns
    assert abs(measured - ahead_ns) <= doubt
    # A clock may have drifted meanwhile (100 ppm), and no time stamp is better than a microsecond.
    # Where no difference at all is possible none is stated, and the true one may be twice as far from that.
    assert doubt <= (1 if measured else 2) * (min(delays) + 1) + 2_000 + 2 * 0.0001 * len(delays) * 100 * MS


def test_points_that_share_nothing_are_left_alone(tmp_path: Path) -> None:
    wire = Wire(clock_ns={"b": 5_000_000_000})
    accept(wire, [Hop("a", A, B)])
    accept(wire, [Hop("b", ("192.0.2.77", 1), ("192.0.2.78", 2))], isn=555, answer=777)
    points = analyze(wire.write(tmp_path)).points
    assert [(point.clock_offset_ns, point.clock_error_ns) for point in points] == [(0, 0), (0, None)]


def test_an_answer_that_was_long_in_coming_tells_less(tmp_path: Path) -> None:
    wire = Wire()
    hops = [Hop("near", A, B, 64, 1_000), Hop("far", A, B, 64, 2_000)]
    wire.packet(hops, T0, SYN, 1000)
    wire.packet(hops, T0 + 2_000 * MS, SYN | ACK, 9000, 1001, back=True)
    # In two seconds clocks may drift by 400 microseconds.
    assert [point.clock_error_ns for point in analyze(wire.write(tmp_path)).points][1] in range(400_000, 410_000)


def test_what_crossed_a_proxy_ties_the_clocks_of_its_two_sides() -> None:
    begins = {0: T0, 1: T0 + 7_000_000_000, 2: T0}
    clocks = Clocks({number: Clock(number, number, (), first) for number, first in begins.items()})
    crossed = [(0, 1, T0 + at * MS, T0 + at * MS + 7_000_000_000, 7_000_000_000, 40_000) for at in range(0, 3_000, 100)]
    columns = ["island", "island_b", "at_ns", "at_ns_b", "offset_ns", "doubt_ns"]
    told = clocks.across(pl.DataFrame(crossed, schema=columns, orient="row")).by_point
    assert abs(told[1].offset_ns + 7_000_000_000) <= told[1].error_ns < 100_000
    assert [told[number].known for number in range(3)] == [True, True, False]


def test_one_host_s_points_are_not_shifted_by_their_distance(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, [Hop("in", A, B, 64, 10_000), Hop("out", A, B, 63, 60_000)])
    assert [point.clock_offset_ns for point in analyze(wire.write(tmp_path)).points] == [0, 0]


def test_syns_alone_tell_where_resets_came_by_a_shorter_way(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(4):
        client = ("10.1.0.5", 40000 + at)
        called = Hop("caller", client, ("10.1.0.9", 80), 64, 0)
        served = Hop("member", client, ("10.1.0.6", 8080), 63, 60_000, 64)
        direct = Hop("member", client, ("10.1.0.6", 8080), 64, 30_000, 64)
        wire.packet([called, served], T0 + at * 10 * MS, SYN, 1000 + at)
        wire.packet([direct], T0 + at * 10 * MS + MS, SYN | ACK, 9000 + at, 1001 + at, back=True)
        # The caller has not called the member: its reset does not pass the balancer, and keeps its TTL.
        wire.packet([direct], T0 + at * 10 * MS + 2 * MS, RST, 1001 + at)
    analysis = analyze(wire.write(tmp_path))
    assert [len(legs) for legs in analysis.paths["legs"]] == [2] * 4


def test_of_clocks_that_differ_the_odd_one_is_corrected(tmp_path: Path) -> None:
    """Whoever saw most: here the wrong one, which saw every connection of a star."""
    wire = Wire(clock_ns={"hub": 3_000 * MS})
    for at, side in enumerate(("left", "right", "other")):
        server = (f"192.0.2.{10 + at}", 80)
        for again in range(3):
            client = ("192.0.2.1", 5000 + 10 * at + again)
            hops = [Hop("hub", client, server, 64, 1_000), Hop(side, client, server, 63, 60_000)]
            accept(wire, hops, T0 + (3 * at + again) * 100 * MS, isn=1_000_000 * at + 1_000 * again, answer=5)
    offsets = {point.name: point.clock_offset_ns for point in analyze(wire.write(tmp_path)).points}
    assert offsets.pop("hub") == pytest.approx(-3_000 * MS, abs=MS)
    assert all(abs(offset) < MS for offset in offsets.values())


@pytest.mark.parametrize("translated", [False, True])
def test_connections_older_than_the_capture_tell_as_well(tmp_path: Path, translated: bool) -> None:
    wire = Wire(clock_ns={"inside": 300_000_000_000})
    for at in range(24):
        called, member = ("203.0.113.9", 443), ("10.1.0.4", 9443)
        own = ("10.1.0.1", 20000 + at) if translated else ("198.51.100.7", 40000 + at)
        hops = [
            Hop("outside", ("198.51.100.7", 40000 + at), called, 61, 0, 63),
            Hop("inside", own, member if translated else called, 60, 40_000, 64),
        ]
        seq, ack, time = 5_000 + 777_777 * at, 900 + 55_555 * at, T0 + at * 100 * MS
        wire.packet(hops, time, ACK | PSH, seq, ack, b"question %03d" % at)
        wire.packet(hops, time + MS, ACK | PSH, ack, seq + 12, b"answer %03d" % at, back=True)
    analysis = analyze(wire.write(tmp_path))
    inside = next(point for point in analysis.points if point.name == "inside")
    assert inside.clock_error_ns is not None
    assert abs(inside.clock_offset_ns + 300_000_000_000) <= inside.clock_error_ns < 100_000
    assert [len(legs) for legs in analysis.paths["legs"]] == [1 + translated] * 24
