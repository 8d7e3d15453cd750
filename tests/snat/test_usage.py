"""Who uses which ports, from both sides of the translator and from the inside alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.settings import Settings
from flowscope.snat.usage import port_use
from tests.rules.outbound import HOSTS, OTHER, SNAT, START, TOPOLOGY, hold, way
from tests.rules.scene import judged
from tests.wire import MS, RST, Hop, Wire, ignore

pytestmark = pytest.mark.usefixtures("core")
SECOND = 1_000 * MS


def pools(wire: Wire, folder: Path, topology: str | None = TOPOLOGY) -> list[dict[str, Any]]:
    return port_use(judged(wire, folder, topology)).pools.to_dicts()


def text(analysis: Analysis, number: int) -> str:
    return str(analysis.addresses["text"][number])


def test_one_port_serves_many_destinations_and_each_is_counted_for_itself(tmp_path: Path) -> None:
    wire = Wire()
    for at, server in enumerate((("198.51.100.10", 443), ("198.51.100.10", 8443), ("198.51.100.20", 443))):
        hold(wire, way(40000 + at, 1024, server), START + at * MS, 1000 * at, 5)
    assert [(pool["connections"], pool["peak"]) for pool in pools(wire, tmp_path)] == [(1, 1)] * 3


def test_top_members_come_first(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(5):
        hold(wire, way(40000 + at, 1024 + at, host=HOSTS[at > 0]), START + at * MS, 1000 * at, 5)
    analysis = judged(wire, tmp_path, TOPOLOGY)
    (pool,) = port_use(analysis).pools.to_dicts()
    assert [(text(analysis, one["inside"]), one["connections"]) for one in pool["top"]] == [
        (HOSTS[1], 4),
        (HOSTS[0], 1),
    ]


def test_a_port_is_held_after_a_fin_and_after_a_reset_for_its_own_time(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, way(40000, 1024), START, 1000, 1)
    hold(wire, way(40001, 1025), START, 2000, 1)
    wire.packet(way(40001, 1025), START + SECOND + 5 * MS, RST, 2000 + 1 + len(b"ask 2000") + 1)
    hold(wire, way(40002, 1026, OTHER), START + 100 * SECOND, 3000, 1)
    use = port_use(judged(wire, tmp_path, TOPOLOGY + "fin_hold_s = 60\nrst_hold_s = 15\n"))
    lasting = {row["snat_port"]: (row["until_ns"] - row["from_ns"]) // SECOND for row in use.users.to_dicts()}
    assert (lasting[1024], lasting[1025]) == (61, 16)


def test_a_port_given_again_had_been_released(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(4):
        hold(wire, way(40000 + at, 1024), START + at * 2 * SECOND, 1000 * at, 1)
    (pool,) = pools(wire, tmp_path, TOPOLOGY + "fin_hold_s = 240\n")
    assert pool["peak"] == 1


def test_from_the_inside_alone_connections_are_counted(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        hold(wire, way(40000 + at, 1, points="in"), START + at * MS, 1000 * at, 5)
    ignore(wire, way(41000, 1, points="in"), START + SECOND, 9000)
    # Neighbours are no destinations of SNAT.
    hold(wire, way(40010, 1, ("10.9.0.77", 443), points="in"), START, 77, 5)
    (pool,) = pools(wire, tmp_path)
    assert (pool["connections"], pool["refused"], pool["peak"], pool["both"]) == (3, 1, 3, False)
    assert (pool["ports_available"], pool["ports_known"]) == (10, True)
    assert pools(wire, tmp_path, None) == []


def test_shares_of_members_by_name(tmp_path: Path) -> None:
    topology = f"""
[[pool]]
name = "web"
members = [{{ name = "vm1", address = "{HOSTS[0]}", port = 80 }}, {{ name = "vm2", address = "{HOSTS[1]}", port = 80 }}]

[[snat]]
address = "{SNAT}"
ports_per_member = 4
members = ["vm1"]
"""
    wire = Wire()
    for at in range(4):
        hold(wire, way(40000 + at, 1, host=HOSTS[at % 2], points="in"), START + at * MS, 1000 * at, 5)
    (pool,) = pools(wire, tmp_path, topology)
    assert (pool["connections"], pool["ports_available"]) == (2, 4)


def test_a_proxy_opens_its_own_connections(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, [Hop("front", ("198.51.100.7", 5000), ("203.0.113.9", 80), 60)], START, 1000, 3)
    hold(wire, [Hop("back", ("10.1.0.1", 6000), ("10.1.0.4", 8080), 64)], START + 5 * MS, 88_000, 3)
    assert pools(wire, tmp_path, None) == []


def test_nothing_translated(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, way(40000, 1, points="in"), START, 1000, 1)
    use = port_use(judged(wire, tmp_path, None))
    assert use.pools.is_empty() and use.refusals.is_empty()


def test_the_profile_says_how_many_ports_a_member_has_and_how_long_they_are_held(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(4):
        hold(wire, way(40000 + at, 1024 + at, host=HOSTS[at % 2]), START + at * MS, 1000 * at, 1)
    captures = wire.write(tmp_path)
    for name, ports, held, per_member in (("azure-lb", 1024, 240.0, True), ("azure-nat-gateway", 64512, 65.0, False)):
        analysis = analyze(captures, settings=Settings(profile=name))
        found = port_use(analysis).pools.sort("member", nulls_last=True).to_dicts()
        assert [pool["ports_available"] for pool in found] == [ports] * (2 if per_member else 1)
        assert {pool["ports_from"] for pool in found} == {"profile"}
        assert {pool["fin_hold_s"] for pool in found} == {held}


def test_ports_per_member_by_the_size_of_the_pool(tmp_path: Path) -> None:
    members = ", ".join(f'{{ name = "vm{at}", address = "10.9.0.{at + 4}", port = 80 }}' for at in range(60))
    wire = Wire()
    hold(wire, way(40000, 1024), START, 1000, 1)
    topology = tmp_path / "t.toml"
    topology.write_text(f'[[pool]]\nname = "web"\nmembers = [{members}]\n\n[[snat]]\naddress = "{SNAT}"\n')
    captures = wire.write(tmp_path)
    analysis = analyze(captures, topology=str(topology), settings=Settings(profile="azure-lb"))
    (pool,) = port_use(analysis).pools.to_dicts()
    assert (pool["ports_available"], pool["ports_from"]) == (512, "profile")
    with topology.open("a") as more:
        more.write("ports_per_member = 96\nfin_hold_s = 10\n")
    analysis = analyze(captures, topology=str(topology), settings=Settings(profile="azure-lb"))
    (pool,) = port_use(analysis).pools.to_dicts()
    assert (pool["ports_available"], pool["ports_from"], pool["fin_hold_s"]) == (96, "topology", 10.0)
