"""Records find their leg: same tuple, nearest in time, and no other."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from flowscope.analysis import analyze
from flowscope.cloud.flow_log import FlowLog, record_frame
from flowscope.cloud.flow_log_join import join_flow_log
from flowscope.window import Window
from tests.rules.scene import CLIENTS, MEMBERS, call
from tests.wire import T0, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
SECOND = 1_000_000_000


@pytest.fixture
def window(tmp_path: Path) -> Window:
    """One tuple used three times, 200 s apart, and a neighbour."""
    wire = Wire()
    for again in range(3):
        accept(wire, call(0, 40000), T0 + 200 * again * SECOND, isn=1000 * again + 9, answer=7)
    accept(wire, call(0, 40001), T0, isn=77, answer=78)
    held = analyze(wire.write(tmp_path))
    return Window(
        captures=held.captures, points=held.points, point_table=pl.DataFrame(), flows=held.flows, events=held.events,
        messages=held.messages, addresses=held.addresses, legs=held.legs, paths=held.paths, places={},
        topology=held.topology,
    )  # fmt: skip


def log(*rows: tuple[int, int]) -> FlowLog:
    """Records of the first client to the first member: port, seconds after the start."""
    (member, port) = MEMBERS[0]
    listed = [
        (CLIENTS[0], own, member, port, 6, T0 + at * SECOND, T0 + (at + 1) * SECOND - 1, "inbound", "allow", None, None,
         None, None, None)
        for own, at in rows
    ]  # fmt: skip
    return FlowLog(record_frame(listed).with_columns(file=pl.lit(0, pl.UInt32)))


def joined(window: Window, one: FlowLog) -> dict[int, int]:
    """Seconds after the start at which the leg of each record began."""
    begins = window.flows.group_by("leg").agg(pl.col("at_ns").min())
    table = join_flow_log(window, one).join(begins.with_columns(pl.col("leg").cast(pl.Int64)), "leg").sort("record")
    return {record: round((at - T0) / SECOND) for record, at in table.select("record", "at_ns").iter_rows()}


def test_a_tuple_that_is_used_again_is_told_apart_by_time(window: Window) -> None:
    assert joined(window, log((40000, 0), (40000, 199), (40000, 401))) == {0: 0, 1: 200, 2: 400}


def test_a_record_joins_the_leg_behind_the_translation(window: Window) -> None:
    (leg,) = join_flow_log(window, log((40001, 0)))["leg"]
    assert window.address(window.legs.filter(pl.col("leg") == leg)["dst"][0]) == MEMBERS[0][0]


def test_what_is_too_far_away_in_time_or_of_another_tuple_joins_nothing(window: Window) -> None:
    assert joined(window, log((40000, 100 + 3600), (40009, 0))) == {}


def test_records_of_answers_are_marked(window: Window) -> None:
    (member, port) = MEMBERS[0]
    row = (member, port, CLIENTS[0], 40001, 6, T0, T0 + 60 * SECOND, None, "allow", None, None, None, None, None)
    table = join_flow_log(window, FlowLog(record_frame([row]).with_columns(file=pl.lit(0, pl.UInt32))))
    assert table["reply"].to_list() == [True]


def test_without_ports_nothing_joins(window: Window) -> None:
    row = (CLIENTS[0], None, MEMBERS[0][0], None, None, None, None, None, None, None, None, None, None, None)
    assert join_flow_log(window, FlowLog(record_frame([row]).with_columns(file=pl.lit(0, pl.UInt32)))).height == 0
