"""Members that answer for themselves, in the frontend's name, make a healthy path that names its frontend."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.nat.inferred import point_part
from tests.wire import ACK, MS, PSH, SYN, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

VIP = ("203.0.113.9", 80)
TOPOLOGY = """
[[frontend]]
name = "web"
address = "203.0.113.9"
port = 80
mode = "dsr"
"""


def call(wire: Wire, at: int, member: str, *, client: str = "198.51.100.7") -> None:
    """One call whose packets pass the balancer on the way there only."""
    end = (client, 40000 + at)
    balancer = Hop("lb", end, VIP, 61, 100_000, 62)
    host = Hop(member, end, VIP, 60, 150_000, 64)
    time, isn, answer = T0 + at * 100 * MS, 1000 * at + 1, 5000 * at + 7
    wire.packet([balancer, host], time, SYN, isn)
    wire.packet([host], time + MS, SYN | ACK, answer, isn + 1, back=True)
    wire.packet([balancer, host], time + 2 * MS, ACK, isn + 1, answer + 1)
    wire.packet([balancer, host], time + 3 * MS, PSH | ACK, isn + 1, answer + 1, b"question")
    wire.packet([host], time + 4 * MS, PSH | ACK, answer + 1, isn + 9, b"answer", back=True)
    wire.packet([balancer, host], time + 5 * MS, ACK, isn + 9, answer + 7)


def summary(analysis: Analysis) -> set[tuple[str | None, str | None, str]]:
    text = analysis.addresses["text"]

    def named(number: int | None) -> str | None:
        return None if number is None else str(text[number])

    rows = analysis.paths.select("frontend", "backend", "outcome").iter_rows()
    return {(named(front), named(back), outcome) for front, back, outcome in rows}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    wire = Wire()
    for at in range(12):
        call(wire, at, f"vm{at % 3}")
    return wire.write(tmp_path)


def test_an_address_that_several_hosts_answer_for_is_a_frontend(files: list[str]) -> None:
    analysis = analyze(files)
    assert summary(analysis) == {(VIP[0], VIP[0], "established")}
    assert not analysis.findings and not analysis.problems
    assert [one.mode for one in analysis.inferred.topology.frontends] == ["dsr"]


def test_the_topology_says_so_where_one_point_only_was_captured(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "topology.toml").write_text(TOPOLOGY)
    for file in files:
        analysis = analyze([file], topology=str(tmp_path / "topology.toml"))
        assert summary(analysis) == {(VIP[0], VIP[0], "established")} and not analysis.findings


def test_spares_a_server_that_answers_by_another_way(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(12):
        call(wire, at, "vm0")
    assert summary(analyze(wire.write(tmp_path))) == {(None, VIP[0], "established")}


def test_a_syn_that_nobody_answers_is_none_the_less_unanswered(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        wire.packet([Hop("lb", ("198.51.100.7", 40000 + at), VIP)], T0 + at * MS, SYN, 77 + at)
    assert {row[2] for row in summary(analyze(wire.write(tmp_path)))} == {"unanswered"}


PROBER = "35.191.3.7"


def probes(wire: Wire, members: tuple[str, ...], *, start: int = 0) -> None:
    """Probes to the frontend's own address, each met at one member."""
    for at in range(start, start + 5 * len(members)):
        hop = Hop(members[at % len(members)], (PROBER, 50000 + at), VIP, 61, 150_000, 64)
        accept(wire, [hop], T0 + at * 300 * MS, 700 * at + 1, 900 * at + 7)


def test_an_address_that_members_share_is_nobodys_node(files: list[str]) -> None:
    inferred = analyze(files).inferred
    assert [one.node for one in inferred.topology.points] == [None] * 4
    assert not any(point_part(one) in inferred.guesses for one in inferred.topology.points)


def test_an_address_that_is_probed_at_several_members_is_no_member(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(12):
        accept(wire, [Hop(f"vm{at % 3}", ("198.51.100.7", 40000 + at), VIP, 60, 150_000, 64)], T0 + at * 300 * MS, at)
    probes(wire, ("vm0", "vm1", "vm2"))
    inferred = analyze(wire.write(tmp_path)).inferred
    (remark,) = inferred.remarks
    assert remark.startswith(f"{VIP[0]}: probed from {PROBER} on port 80, and answered at several points")
    assert "members of a pool" not in remark and not inferred.topology.pools
    assert [one.node for one in inferred.topology.points] == [None] * 3


def test_captures_of_one_host_after_each_other_share_no_address(tmp_path: Path) -> None:
    wire = Wire()
    for at, point in enumerate(("before", "after")):
        probes(wire, (point,), start=20 * at)
        client = ("198.51.100.7", 40000 + at)
        accept(wire, [Hop(point, client, VIP, 60, 150_000, 64)], T0 + (20 * at + 3) * 300 * MS, at)
    (remark,) = analyze(wire.write(tmp_path)).inferred.remarks
    assert "so members of a pool" in remark and "Google's passthrough balancers" in remark


def test_a_shared_address_that_is_probed_is_no_member_of_another_pool(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(12):
        call(wire, at, f"vm{at % 3}")
    for at in range(3):
        client, member = ("198.51.100.8", 41000 + at), "10.1.0.4"
        front, back = Hop("lb", client, ("203.0.113.8", 80), 61, 90_000, 62), Hop("vm9", client, (member, 80), 60)
        accept(wire, [front, back], T0 + at * 100 * MS, 30_000 * at + 3, 40_000 * at + 5)
        accept(wire, [Hop("vm9", (PROBER, 52000 + at), (member, 80), 61)], T0 + at * 900 * MS, 51 * at + 9, 77 * at + 2)
    probes(wire, ("vm0", "vm1", "vm2"))
    (pool,) = analyze(wire.write(tmp_path)).inferred.topology.pools
    assert [one.address for one in pool.members] == ["10.1.0.4"] and pool.probe is not None
