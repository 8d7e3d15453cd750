"""Members that answer for themselves, in the frontend's name, make a healthy path that names its frontend."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import Analysis, analyze
from tests.wire import ACK, MS, PSH, SYN, T0, Hop, Wire

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
