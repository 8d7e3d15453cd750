"""Where a point stands, from packet types, TTLs and the topology; never from its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.nat.places import places
from tests.wire import T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

CLIENT, MEMBER = "198.51.100.7", "10.1.0.4"


def hosts(wire: Wire, folder: Path, topology: str | None = None) -> dict[str, tuple[set[str], bool]]:
    analysis = analyze(wire.write(folder), topology=topology)
    found = places(analysis.flows, analysis.points, analysis.addresses, analysis.topology, {})
    texts = analysis.addresses["text"]
    names = {point.number: point.name for point in analysis.points}
    return {names[at]: ({texts[one] for one in place.hosts}, place.sure) for at, place in found.items()}


def test_packet_types_are_sure(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, [Hop("x", (CLIENT, 1), (MEMBER, 80), 60, packet_type=0)])
    assert hosts(wire, tmp_path) == {"x": ({MEMBER}, True)}


def test_a_forwarding_host_is_no_end(tmp_path: Path) -> None:
    wire = Wire()
    for packet_type, delay in ((0, 1000), (4, 30_000)):
        accept(wire, [Hop("x", (CLIENT, 1), (MEMBER, 80), 60, delay, packet_type=packet_type)])
    assert hosts(wire, tmp_path) == {"x": (set(), False)}


def test_an_initial_ttl_on_every_flow_is_a_guess(tmp_path: Path) -> None:
    wire = Wire()
    for at, client in enumerate((CLIENT, "198.51.100.8")):
        accept(wire, [Hop("x", (client, 1), (MEMBER, 80), 60, reply_ttl=64)], T0, isn=at * 1000, answer=7)
    assert hosts(wire, tmp_path) == {"x": ({MEMBER}, False)}


def test_a_point_that_sees_several_members_is_none_of_them(tmp_path: Path) -> None:
    wire = Wire()
    for at, member in enumerate((MEMBER, "10.1.0.5")):
        accept(wire, [Hop("x", (CLIENT, 1 + at), (member, 80), 60, reply_ttl=64)], T0, isn=at * 1000, answer=7)
    assert hosts(wire, tmp_path)["x"][0] <= {CLIENT}


def test_the_topology_wins(tmp_path: Path) -> None:
    topology = tmp_path / "t.toml"
    topology.write_text(
        '[[pool]]\nname = "p"\nmembers = [{ name = "vm1", address = "10.1.0.4", port = 80 }]\n'
        '[[point]]\nfile = "x.pcap"\nnode = "vm1"\n'
    )
    wire = Wire()
    accept(wire, [Hop("x", (CLIENT, 1), (MEMBER, 80), 60, reply_ttl=60)])
    assert hosts(wire, tmp_path, str(topology)) == {"x": ({MEMBER}, True)}


def test_of_two_hosts_that_talk_to_one_another_only_the_one_no_other_point_sees_is_here(tmp_path: Path) -> None:
    wire, prober = Wire(), "168.63.129.16"
    for at, (point, member) in enumerate((("x", MEMBER), ("y", "10.1.0.5"))):
        accept(wire, [Hop(point, (prober, 1000 + at), (member, 80), 64)], T0, isn=at * 1000, answer=7)
    assert hosts(wire, tmp_path) == {"x": ({MEMBER}, False), "y": ({"10.1.0.5"}, False)}
    (tmp_path / "alone").mkdir()
    alone = Wire()
    accept(alone, [Hop("x", (prober, 1000), (MEMBER, 80), 64)])
    assert hosts(alone, tmp_path / "alone") == {"x": (set(), False)}


def test_a_point_that_only_arp_reached_stands_where_the_topology_says(tmp_path: Path) -> None:
    topology = tmp_path / "t.toml"
    topology.write_text(
        '[[pool]]\nname = "p"\nmembers = [{ name = "vm1", address = "10.1.0.4", port = 80 }]\n'
        '[[point]]\nfile = "y.pcap"\nnode = "vm1"\n'
    )
    wire = Wire()
    accept(wire, [Hop("x", (CLIENT, 1), (MEMBER, 80), 60, reply_ttl=60)])
    wire.frames["y"] = [(T0 + at, bytes(12) + b"\x08\x06" + bytes(28), 42) for at in (5, 900)]
    analysis = analyze(wire.write(tmp_path), topology=str(topology))
    times = dict.fromkeys((0, 1), T0 + 5), dict.fromkeys((0, 1), T0 + 900)
    found = places(analysis.flows, analysis.points, analysis.addresses, analysis.topology, times[1], times[0])
    (silent,) = (found[point.number] for point in analysis.points if point.name == "y")
    assert ({analysis.addresses["text"][one] for one in silent.hosts}, silent.sure) == ({MEMBER}, True)
    assert (silent.first_ns, silent.last_ns) == (T0 + 5, T0 + 900)
