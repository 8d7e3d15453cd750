"""Tries of one connection that a translator sends on under different ports are one connection; a replay is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowscope.analysis import Analysis, analyze
from tests.wire import ACK, MS, PSH, RST, SYN, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

CLIENT, SERVER, OUTSIDE = ("10.1.0.7", 40000), ("203.0.113.9", 443), "198.51.100.1"


def outbound(snat: int, held_ns: int = 60_000, source: str = OUTSIDE) -> list[Hop]:
    return [Hop("inside", CLIENT, SERVER, 64, 1_000, 62), Hop("outside", (source, snat), SERVER, 63, held_ns, 63)]


def legs(folder: Path, wire: Wire) -> tuple[Analysis, int]:
    """The analysis, and how many legs were joined to another."""
    analysis = analyze(wire.write(folder))
    return analysis, sum(len(path) - 1 for path in analysis.paths["legs"].to_list())


def retried(wire: Wire, *tries: list[Hop]) -> None:
    """A SYN that is sent again and again, each time through the hops of that try; only the last is accepted."""
    for at, hops in enumerate(tries):
        time_ns = T0 + at * 15 * MS
        wire.packet(hops, time_ns, SYN, 1000, ip_id=700 + at, tsval=5000 + at)
        if hops is not tries[-1]:
            # The server still holds the last connection of that port (RFC 5961, section 4).
            wire.packet(hops, time_ns + MS, ACK, 77, 88 + at, back=True)
            wire.packet(hops, time_ns + 2 * MS, RST, 88 + at)
        else:
            wire.packet(hops, time_ns + MS, SYN | ACK, 9000, 1001, back=True)
            wire.packet(hops, time_ns + 2 * MS, ACK, 1001, 9001)


def test_a_try_that_was_held_is_joined_beside_one_that_was_not(tmp_path: Path) -> None:
    wire = Wire()
    retried(wire, outbound(2001), outbound(2002, held_ns=2_400_000), outbound(2003))
    _, joined = legs(tmp_path, wire)
    assert joined == 3


def test_an_answer_that_went_astray_opens_nothing(tmp_path: Path) -> None:
    """Two clients on one port behind a translator: the answer to the second one's SYN goes to the first."""
    wire = Wire()
    first, second = (Hop("front", (f"198.51.100.{at}", 5000), ("203.0.113.9", 80), 64, 1_000) for at in (1, 2))
    behind = Hop("back", ("10.1.0.1", 5000), ("10.1.0.4", 8080), 63, 60_000)
    # The first one's connection is older than the capture.
    wire.packet([first, behind], T0, PSH | ACK, 500, 900, b"question", ip_id=7)
    wire.packet([first, behind], T0 + MS, PSH | ACK, 900, 508, b"answer", back=True, ip_id=8)
    wire.packet([second, behind], T0 + 400 * MS, SYN, 70_000, ip_id=9)
    wire.packet([first, behind], T0 + 401 * MS, SYN | ACK, 31_000, 70_001, back=True)
    wire.packet([first, behind], T0 + 402 * MS, RST, 70_001)
    analysis = analyze(wire.write(tmp_path))
    ends = {row["client"]: row for row in analysis.paths.to_dicts()}
    assert len(ends) == analysis.paths.height == 2
    assert all(len(row["legs"]) == 2 for row in ends.values())
    flows = analysis.flows.filter(analysis.flows["point"] == 0)
    assert 31_000 not in flows.filter(flows["fwd_isn"].is_null())["rev_isn"].to_list()
    (older,) = (row for row in ends.values() if row["method"] != "isn")
    assert older["outcome"] == "unknown"


def test_a_replay_with_all_tries_is_not_joined(tmp_path: Path) -> None:
    wire = Wire()
    # Others, by which the clocks are known.
    for at in range(5):
        near, far = outbound(4000 + at)
        accept(wire, [replace(near, src=("10.1.0.8", 50000 + at)), far], T0 + at * 3 * MS, isn=70_000 * at + 9)
    retried(wire, outbound(2001), outbound(2001, held_ns=90_000))
    original = list(wire.frames["outside"])
    replayed = Wire()
    retried(replayed, outbound(3001, source="198.51.100.77"), outbound(3001, source="198.51.100.77"))
    wire.frames["outside"] = original + [(at + 9 * MS, frame, size) for at, frame, size in replayed.frames["outside"]]
    _, joined = legs(tmp_path, wire)
    assert joined == 6


def test_an_answer_to_another_syn_than_the_captured_one_contradicts_nothing(tmp_path: Path) -> None:
    wire = Wire()
    retried(wire, outbound(2001), outbound(2002))
    # The next connection from that port: its SYN is missing, so its answer stands in the flow of the SYN before it.
    later = [Hop("outside", (OUTSIDE, 2001), SERVER, 63, 60_000, 63)]
    wire.packet(later, T0 + 400 * MS, SYN | ACK, 31_000, 7_001, back=True)
    wire.packet(later, T0 + 401 * MS, ACK, 7_001, 31_001)
    analysis, joined = legs(tmp_path, wire)
    assert joined == 2
    assert 31_000 not in analysis.flows["rev_isn"].to_list()
