"""Which files are one point."""

from __future__ import annotations

from flowscope.capture.rings import Peek, Ring, overlapping, plan_rings, point_name


def peek(first: int, *link_types: int) -> Peek:
    return Peek("pcap", link_types or (1,), first)


def test_rings_are_in_order_of_time_not_of_name() -> None:
    # A tcpdump ring that has come round: number 0 was written last.
    rings = plan_rings(["lb.pcap0", "lb.pcap1", "vm.pcap"], [peek(30), peek(20), peek(10)], ())
    assert [ring.captures for ring in rings] == [(1, 0), (2,)]


def test_other_link_types_are_other_points() -> None:
    rings = plan_rings(["lb.pcap0", "lb.pcap1"], [peek(1, 1), peek(2, 276)], ())
    assert [ring.captures for ring in rings] == [(0,), (1,)]


def test_same_names_in_other_folders_are_other_points() -> None:
    rings = plan_rings(["a/lb.pcap0", "b/lb.pcap1"], [peek(1), peek(2)], ())
    assert len(rings) == 2


def test_what_cannot_be_read_twice_stands_alone() -> None:
    assert len(plan_rings(["lb.pcap0", "lb.pcap1"], [None, peek(2)], ())) == 2


def test_point_option_makes_a_ring() -> None:
    rings = plan_rings(["x/ring_b.pcap", "x/ring_a.pcap", "vm.pcap"], [peek(1), peek(2), peek(3)], [("ring_*", "lb")])
    assert rings[0] == Ring("lb", (0, 1), True)


def test_times_that_overlap_make_no_ring() -> None:
    ring = Ring("lb", (1, 0))
    assert overlapping(ring, [(20, 30), (10, 21)])
    assert not overlapping(ring, [(20, 30), (10, 20)])
    assert not overlapping(ring, [(20, 30), None])
    assert not overlapping(Ring("lb", (1, 0), given=True), [(20, 30), (10, 21)])


def test_point_options_fit_path_or_file_name_without_compression() -> None:
    points = [("a/vm1.pcap", "first"), ("vm*.pcap", "any")]
    assert point_name("a/vm1.pcap.gz", points[:1]) == "first"
    assert point_name("b/vm1.pcap", points[:1]) is None
    assert point_name("b/vm2.pcap", points) == "any"
    assert point_name("vm1.pcap", [("vm1.pcap.gz", "x")]) == "x"
