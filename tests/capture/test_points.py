"""Names of observation points."""

from __future__ import annotations

import logging
from typing import Any

import polars as pl
import pytest

from flowscope.capture.points import Origin, name_points
from flowscope.nat.topology import PointHint, Topology
from tests.traffic import capture


def table(*rows: tuple[int, int, str | None], told: dict[str, str] | None = None) -> pl.DataFrame:
    """Rows of ring, interface index and name; every point has frames. ``told``: descriptions by interface name."""
    filled: list[dict[str, Any]] = [
        {"point": at, "ring": ring, "interface": index, "name": name, "link_type": 1, "frames": 5}
        | {"description": (told or {}).get(name or "")}
        for at, (ring, index, name) in enumerate(rows)
    ]
    return pl.DataFrame(filled, schema_overrides={"name": pl.String, "description": pl.String})


def names(points: pl.DataFrame, captures: list[Any], **more: Any) -> list[str]:
    return [point.name for point in name_points(points, captures, **more)]


def test_a_file_is_one_point_named_by_its_file() -> None:
    assert names(table((0, 0, "eth0")), [capture(0, "a/vm1.pcapng.gz")]) == ["vm1"]


def test_several_interfaces_are_several_points() -> None:
    held = [capture(0, "lb.pcapng", points=(0, 1, 2))]
    assert names(table((0, 0, "eth0"), (0, 1, "eth1"), (0, 2, None)), held) == ["lb:eth0", "lb:eth1", "lb:2"]


def test_an_interface_without_frames_is_no_point() -> None:
    silent = table((0, 0, "eth0"), (0, 1, "eth1")).with_columns(frames=pl.Series([5, 0]))
    assert names(silent, [capture(0, "lb.pcapng", points=(0,))]) == ["lb"]


def test_names_are_unique() -> None:
    held = [capture(0, "a/vm1.pcap"), capture(1, "b/vm1.pcap")]
    assert names(table((0, 0, None), (1, 0, None)), held) == ["vm1", "vm1#2"]


def test_a_ring_has_the_name_its_files_share() -> None:
    held = [capture(at, f"d/lb.pcap{at}", points=(0,), ring="d/lb.pcap") for at in range(2)]
    points = name_points(table((0, 0, None)), held)
    assert points[0].name == "lb"
    assert points[0].captures == (0, 1)


def test_point_option_names_first_then_topology() -> None:
    held = [capture(0, "x/vm1.pcap.gz")]
    topology = Topology(points=(PointHint("vm1.pcap", "first", "vm1", "eth7"),))
    assert names(table((0, 0, None)), held, topology=topology) == ["first"]
    point = name_points(table((0, 0, None)), held, [("vm1.pcap", "given")], topology)[0]
    assert (point.name, point.node) == ("given", "vm1")


def test_topology_chooses_one_interface_of_several() -> None:
    held = [capture(0, "lb.pcapng", points=(0, 1))]
    hints = (PointHint("lb.pcapng", "outside", "lb", "eth1"), PointHint("lb.pcapng", "box", "lb"))
    assert names(table((0, 0, "eth0"), (0, 1, "eth1")), held, topology=Topology(points=hints)) == [
        "box:eth0",
        "outside",
    ]


def test_an_interface_the_file_does_not_have_is_a_label() -> None:
    held = [capture(0, "lb.pcapng", points=(0, 1))]
    hints = (PointHint("lb.pcapng", "lb", "lb", "bond0"),)
    assert names(table((0, 0, "eth0"), (0, 1, "eth1")), held, topology=Topology(points=hints)) == ["lb:eth0", "lb:eth1"]


def test_a_path_as_given_wins_over_a_file_name() -> None:
    held = [capture(0, "a/vm1.pcap"), capture(1, "b/vm1.pcap")]
    hints = (PointHint("b/vm1.pcap", "second"),)
    assert names(table((0, 0, None), (1, 0, None)), held, topology=Topology(points=hints)) == ["vm1", "second"]


def test_hints_about_other_captures_are_told_with_v(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flowscope")
    hints = (PointHint("vm9.pcap", "vm9"), PointHint("vm1.pcap"))
    names(table((0, 0, None)), [capture(0, "x/vm1.pcap")], topology=Topology(points=hints))
    assert caplog.messages == ["vm9.pcap: named in the topology, not among the captures"]


PARTS = {"vm1": "captured in caps/vm1.pcap", "lb:eth1": "captured in caps/lb.pcapng, interface eth1"}


def test_parts_of_other_captures_are_the_points_they_were() -> None:
    held = [capture(0, "F1.pcapng", points=(0, 1))]
    parts = table((0, 0, "vm1"), (0, 1, "lb:eth1"), told=PARTS)
    assert names(parts, held) == ["vm1", "lb:eth1"]
    hints = (PointHint("vm1.pcap", "first", "vm1"), PointHint("lb.pcapng", "out", "lb", "eth1"))
    points = name_points(parts, held, (), Topology(points=hints))
    assert [(point.name, point.node) for point in points] == [("first", "vm1"), ("out", "lb")]
    assert [point.name for point in name_points(parts, held, [("vm1.pcap", "given")])] == ["given", "lb:eth1"]


def test_what_is_said_of_the_file_itself_wins_over_its_origin() -> None:
    held = [capture(0, "F1.pcapng")]
    hints = (PointHint("vm1.pcap", "first", "vm1"), PointHint("F1.pcapng", "evidence", "lb"))
    (point,) = name_points(table((0, 0, "vm1"), told=PARTS), held, (), Topology(points=hints))
    assert (point.name, point.node) == ("evidence", "lb")


@pytest.mark.parametrize("text", [None, "", "LAN", "captured in ", "was captured in vm1.pcap"])
def test_other_descriptions_tell_no_origin(text: str | None) -> None:
    assert Origin.of(text) is None


@pytest.mark.parametrize("origin", [Origin("a, b/vm1.pcap"), Origin("vm1.pcap", "eth0"), Origin("two\nlines", "0")])
def test_a_description_tells_the_origin_back(origin: Origin) -> None:
    assert Origin.of(origin.description()) == origin
