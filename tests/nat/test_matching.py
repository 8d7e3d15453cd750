"""What must be joined is joined, and what only looks alike is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowscope.analysis import Analysis, analyze
from tests.wire import ACK, MS, SYN, T0, Hop, Wire, accept, ignore

pytestmark = pytest.mark.usefixtures("core")

CLIENT, FRONTEND, MEMBER = "198.51.100.7", ("203.0.113.9", 443), ("10.1.0.4", 9443)
SECOND = 1_000_000_000


def dnat(port: int = 40000, member: tuple[str, int] = MEMBER) -> list[Hop]:
    client = (CLIENT, port)
    return [
        Hop("front", client, FRONTEND, 61, 100_000, 63),
        Hop("back", client, member, 60, 160_000, 64),
    ]


def full_nat(port: int, snat: int, point: str = "box") -> list[Hop]:
    return [
        Hop(point, (CLIENT, port), FRONTEND, 61, 100_000, 63),
        Hop(point, ("10.1.0.1", snat), MEMBER, 60, 130_000, 64),
    ]


def joined(wire: Wire, folder: Path) -> Analysis:
    return analyze(wire.write(folder))


def endpoints(analysis: Analysis) -> list[list[tuple[str, str]]]:
    """Legs of every path as texts."""
    texts = analysis.addresses["text"]
    legs = {
        row["leg"]: (f"{texts[row['src']]}:{row['src_port']}", f"{texts[row['dst']]}:{row['dst_port']}")
        for row in analysis.legs.iter_rows(named=True)
    }
    return [[legs[leg] for leg in path] for path in analysis.paths["legs"].to_list()]


def test_a_connection_through_dnat_is_one_path(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, dnat())
    analysis = joined(wire, tmp_path)
    assert endpoints(analysis) == [[("198.51.100.7:40000", "203.0.113.9:443"), ("198.51.100.7:40000", "10.1.0.4:9443")]]
    path = analysis.paths.row(0, named=True)
    assert (path["method"], path["outcome"], path["ambiguous"]) == ("tuple", "established", False)
    assert path["confidence"] > 0.99


@pytest.mark.parametrize("snap", [54, 60, 68])
@pytest.mark.parametrize("cut", ["front", "inner", "back"])
def test_a_point_that_keeps_too_little_of_the_options_takes_nothing_away(tmp_path: Path, snap: int, cut: str) -> None:
    wire = Wire()
    for at in range(3):
        front, back = dnat(40000 + at)
        inner = replace(back, point="inner", ttl=61, reply_ttl=63, delay_ns=110_000)
        accept(wire, [front, inner, replace(back, ttl=60)], T0 + at * SECOND, 1000 + at, 9000 + at)
    wire.frames[cut] = [(at, frame[:snap], length) for at, frame, length in wire.frames[cut]]
    found = endpoints(joined(wire, tmp_path))
    assert [len(legs) for legs in found] == [2, 2, 2]


def test_the_report_says_what_a_join_rests_on_and_what_came_next(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, full_nat(40000, 20001))
    # The same trace replayed under other addresses, a little later and a hop further on.
    decoy = Hop("box", ("192.0.2.50", 50000), ("192.0.2.60", 443), 61, 100_000, 63)
    accept(wire, [decoy], T0 + 40_000)
    analysis = joined(wire, tmp_path)
    path = next(row for row in analysis.paths.iter_rows(named=True) if len(row["legs"]) == 2)
    assert {"same client ISN", "same server ISN", "TTL lower by 1", "30.0 us apart"} <= set(path["reasons"])
    text = analysis.addresses["text"]
    rivals = analysis.legs.filter(pl.col("leg") == path["runner_up"])["src"]
    assert [text[one] for one in rivals] == ["192.0.2.50"]
    assert 3 <= path["margin"] < 40
    alone = next(row for row in analysis.paths.iter_rows(named=True) if len(row["legs"]) == 1)
    assert (alone["margin"], alone["runner_up"], alone["reasons"]) == (None, None, [])


def test_full_nat_in_one_file_joins_by_isn_alone(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(20):
        accept(wire, full_nat(40000 + at, 20000 + 7 * at), T0 + at * MS, isn=10_000 * at + 5, answer=77_000 * at + 9)
    analysis = joined(wire, tmp_path)
    assert analysis.paths.height == 20
    assert analysis.paths["method"].unique().to_list() == ["isn"]
    for (client, _), (snat, _) in endpoints(analysis):
        assert int(snat.split(":")[1]) - 20000 == 7 * (int(client.split(":")[1]) - 40000)


def test_a_syn_that_nobody_answered_is_joined_with_all_its_tries(tmp_path: Path) -> None:
    wire = Wire()
    ignore(wire, dnat())
    analysis = joined(wire, tmp_path)
    assert analysis.paths["outcome"].to_list() == ["unanswered"]
    assert len(endpoints(analysis)[0]) == 2


def test_a_syn_forwarded_only_at_the_third_try_is_joined(tmp_path: Path) -> None:
    wire, hops = Wire(), dnat()
    for at in range(3):
        wire.packet(hops, T0 + at * SECOND, SYN, 1000, upto=1 if at < 2 else None, tsval=1000 + 1000 * at)
    assert len(endpoints(joined(wire, tmp_path))[0]) == 2


def test_two_translators_in_a_row_are_one_path_of_three_legs(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, [*full_nat(40000, 20001), Hop("far", ("10.2.0.1", 3333), ("10.3.0.4", 80), 59, 200_000, 64)])
    analysis = joined(wire, tmp_path)
    assert [len(path) for path in endpoints(analysis)] == [3]
    assert not analysis.paths["ambiguous"].any()


@pytest.mark.parametrize("lost", [{0}, {0, 3}, {1, 3}])
def test_the_leg_amid_two_translators_is_on_the_path_whatever_was_not_captured_of_it(
    tmp_path: Path, lost: set[int]
) -> None:
    wire = Wire()
    hops = [*full_nat(40000, 20001), Hop("far", ("10.2.0.1", 3333), ("10.3.0.4", 80), 59, 200_000, 64)]
    hops[:2] = replace(hops[0], reply_ttl=62), replace(hops[1], point="amid", reply_ttl=63)
    plan = [
        (False, SYN, 1000, 0, b""),
        (True, SYN | ACK, 9000, 1001, b""),
        (False, ACK, 1001, 9001, b""),
        (False, ACK | 8, 1001, 9001, b"question"),
        (True, ACK | 8, 9001, 1009, b"answer"),
    ]
    for at, (back, flags, seq, ack, payload) in enumerate(plan):
        seen = [hop for number, hop in enumerate(hops) if number != 1 or at not in lost]
        # The packet takes as long to those who saw it.
        for hop in seen:
            late = 200_000 - hop.delay_ns if back else 0
            wire.packet([hop], T0 + at * MS + late, flags, seq, ack, payload, back=back, ip_id=at + 1, tsval=7 + at)
    analysis = joined(wire, tmp_path)
    assert [len(path) for path in endpoints(analysis)] == [3]


def test_a_retried_syn_under_another_snat_port_is_a_second_path(tmp_path: Path) -> None:
    wire = Wire()
    first, second = full_nat(40000, 20001), full_nat(40000, 20002)
    wire.packet(first, T0, SYN, 1000)
    wire.packet(second, T0 + SECOND, SYN, 1000, tsval=2000)
    wire.packet(second, T0 + SECOND + MS, SYN | ACK, 9000, 1001, back=True)
    wire.packet(second, T0 + SECOND + 2 * MS, ACK, 1001, 9001)
    found = endpoints(joined(wire, tmp_path))
    assert sorted(path[-1][0] for path in found) == ["10.1.0.1:20001", "10.1.0.1:20002"]
    assert all(path[0][0] == "198.51.100.7:40000" for path in found)


def test_a_port_reused_seconds_later_is_another_connection(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, full_nat(40000, 20001), T0, isn=1, answer=2)
    accept(wire, full_nat(40001, 20001), T0 + 2 * SECOND, isn=500_000, answer=600_000)
    found = endpoints(joined(wire, tmp_path))
    assert sorted((path[0][0], path[1][0]) for path in found) == [
        ("198.51.100.7:40000", "10.1.0.1:20001"),
        ("198.51.100.7:40001", "10.1.0.1:20001"),
    ]


@pytest.mark.parametrize("later_ns", [300_000, 40 * MS, 7 * SECOND])
def test_spares_the_same_trace_replayed_under_other_addresses(tmp_path: Path, later_ns: int) -> None:
    wire = Wire()
    accept(wire, [Hop("wire", ("192.0.2.1", 5000), ("192.0.2.9", 80), 64)], T0)
    accept(wire, [Hop("wire", ("198.18.2.1", 5000), ("198.18.2.9", 80), 64)], T0 + later_ns)
    assert [len(path) for path in endpoints(joined(wire, tmp_path))] == [1, 1]


def test_spares_a_replay_one_hop_further_on_much_later(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, [Hop("wire", ("192.0.2.1", 5000), ("192.0.2.9", 80), 64)], T0)
    accept(wire, [Hop("wire", ("198.18.2.1", 5000), ("198.18.2.9", 80), 63)], T0 + 600 * SECOND)
    assert [len(path) for path in endpoints(joined(wire, tmp_path))] == [1, 1]


def test_spares_a_scanner_with_one_isn_for_all_targets(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(40):
        target = (f"10.9.0.{at}", 80)
        hops = [
            Hop("outside", ("192.0.2.66", 61000), target, 50, 10_000),
            Hop("inside", ("192.0.2.66", 61000), target, 49, 90_000),
        ]
        wire.packet(hops, T0 + at * 100_000, SYN, 0x01020304, ip_id=54321, tsval=0)
    found = endpoints(joined(wire, tmp_path))
    assert [len(path) for path in found] == [1] * 40


def test_two_that_fit_as_well_are_not_joined_and_said_to_be_ambiguous(tmp_path: Path) -> None:
    wire = Wire()
    twins = [Hop("box", (f"192.0.2.{at}", 5000), FRONTEND, 61, 10_000) for at in (1, 2)]
    for hop in twins:
        wire.packet([hop], T0, SYN, 1000, ip_id=7)
    wire.packet([Hop("box", ("10.1.0.1", 20000), MEMBER, 60, 60_000)], T0, SYN, 1000, ip_id=7)
    analysis = joined(wire, tmp_path)
    assert [len(path) for path in endpoints(analysis)] == [1, 1, 1]
    assert analysis.paths["ambiguous"].sum() == 1


@settings(max_examples=15, deadline=None)
@given(ahead_s=st.integers(-400, 400), isns=st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=6, unique=True))
def test_clocks_minutes_apart_still_join(
    tmp_path_factory: pytest.TempPathFactory, ahead_s: int, isns: list[int]
) -> None:
    wire = Wire(clock_ns={"back": ahead_s * SECOND})
    for at, isn in enumerate(isns):
        accept(wire, dnat(40000 + at), T0 + at * 50 * MS, isn=isn, answer=(isn + 12345) % 2**32)
    analysis = joined(wire, tmp_path_factory.mktemp("clocks"))
    assert [len(path) for path in endpoints(analysis)] == [2] * len(isns)
    offsets = {point.name: point.clock_offset_ns for point in analysis.points}
    assert abs(abs(offsets["front"] - offsets["back"]) - abs(ahead_s) * SECOND) <= MS


def test_a_flood_of_one_isn_is_bounded_and_said(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(60):
        wire.packet([Hop("x", ("192.0.2.1", 1000 + at), ("192.0.2.9", 80))], T0 + at * MS, SYN, 42)
    analysis = joined(wire, tmp_path)
    assert [len(path) for path in endpoints(analysis)] == [1] * 60
    assert any("60 connections share their first sequence number" in problem for problem in analysis.problems)


def test_mid_stream_legs_join_by_shared_segments_and_go_the_same_way(tmp_path: Path) -> None:
    wire, hops = Wire(), full_nat(40000, 20001)
    # The first packet of each leg goes another way: the answer overtakes the question on the second.
    wire.packet(hops[:1], T0, ACK | 8, 5000, 900, b"question")
    wire.packet(hops[1:], T0 + MS, ACK | 8, 900, 5008, b"answer", back=True)
    wire.packet(hops[1:], T0, ACK | 8, 5000, 900, b"question", ip_id=1)
    wire.packet(hops[:1], T0 + MS, ACK | 8, 900, 5008, b"answer", back=True, ip_id=2)
    found = endpoints(joined(wire, tmp_path))
    assert found == [[("198.51.100.7:40000", "203.0.113.9:443"), ("10.1.0.1:20001", "10.1.0.4:9443")]]


def exchange(isn: int, answer: int, word: bytes) -> list[tuple[bool, int, int, int, bytes]]:
    """A handshake, a question and its answer: whether the server sends, flags, both numbers, payload."""
    question, reply = b"question of " + word, b"answer to " + word
    return [
        (False, SYN, isn, 0, b""),
        (True, SYN | ACK, answer, isn + 1, b""),
        (False, ACK, isn + 1, answer + 1, b""),
        (False, ACK | 8, isn + 1, answer + 1, question),
        (True, ACK | 8, answer + 1, isn + 1 + len(question), reply),
    ]


def renumbered(
    wire: Wire, hops: list[Hop], time_ns: int, isn: int, answer: int, shifts: tuple[int, int], word: bytes
) -> None:
    """A connection whose second hop has other numbers: all of each half shifted by a constant."""
    for hop, (there, back) in zip(hops, ((0, 0), shifts), strict=True):
        one, other = (isn + there) % 2**32, (answer + back) % 2**32
        for at, (backward, flags, seq, ack, payload) in enumerate(exchange(one, other, word)):
            when = time_ns + at * MS
            numbers = (seq % 2**32, ack % 2**32)
            wire.packet([hop], when, flags, *numbers, payload, back=backward, ip_id=at + 1, tsval=7 + at)


@pytest.mark.parametrize("shifts", [(0, 12345), (4_000_000_000, 99), (2**31, 0)])
def test_renumbered_legs_join_by_one_constant_shift(tmp_path: Path, shifts: tuple[int, int]) -> None:
    wire = Wire()
    for at in range(5):
        isn, answer = 4_294_967_000 + 60 * at, 1_000_000 * at + 3
        renumbered(wire, dnat(40000 + at), T0 + at * 20 * MS, isn, answer, shifts, b"%d" % at)
    analysis = joined(wire, tmp_path)
    assert [len(path) for path in endpoints(analysis)] == [2] * 5
    assert set(analysis.paths["method"]) == {"shift"}


def test_spares_the_same_question_asked_by_another_client(tmp_path: Path) -> None:
    wire = Wire()
    for at, client in enumerate(("198.51.100.7", "198.51.100.8")):
        hop = Hop("x", (client, 40000 + at), (f"203.0.113.{at}", 443), 61 - at, 100_000, 63)
        renumbered(wire, [hop, hop], T0 + at * MS, 1000 + 50_000 * at, 9000 + 70_000 * at, (0, 0), b"the same")
    assert [len(path) for path in endpoints(joined(wire, tmp_path))] == [1, 1]


def syn_proxied(wire: Wire, hops: list[Hop], isn: int, lost: dict[int, set[int]], *, word: bytes = b"this") -> None:
    """One question and answer through a SYN proxy: the second hop has another server's number; some packets are lost.

    Args:
        wire: takes the frames.
        hops: outside and inside.
        isn: the client's.
        lost: for each hop the packets that were not captured: 0 SYN, 1 SYN-ACK, 2 ACK, 3 question, 4 answer.
        word: what is asked.
    """
    for at, hop in enumerate(hops):
        packets = exchange(isn, 9_000_000 + 77_777 * at, word)
        for number, (back, flags, seq, ack, payload) in enumerate(packets):
            if number not in lost.get(at, set()):
                time = T0 + number * MS
                wire.packet([hop], time, flags, seq, ack, payload, back=back, ip_id=number + 1, tsval=7 + number)


@pytest.mark.parametrize("lost", [{0: {4}}, {1: {3}}, {0: {0}}, {1: {0}}, {1: {1}}, {0: {0}, 1: {1}}], ids=str)
def test_a_syn_proxy_of_which_little_was_captured(tmp_path: Path, lost: dict[int, set[int]]) -> None:
    wire = Wire()
    syn_proxied(wire, full_nat(40000, 20001), 5000, lost)
    found = endpoints(joined(wire, tmp_path))
    assert found == [[("198.51.100.7:40000", "203.0.113.9:443"), ("10.1.0.1:20001", "10.1.0.4:9443")]]


def test_spares_one_question_that_is_another_packet(tmp_path: Path) -> None:
    wire, hops = Wire(), full_nat(40000, 20001)
    syn_proxied(wire, hops[:1], 5000, {0: {4}})
    wire.frames.setdefault("idle", [])
    wire.packet([hops[1]], T0, SYN, 5000, ip_id=61, tsval=500)
    wire.packet([hops[1]], T0 + MS, SYN | ACK, 77, 5001, back=True, ip_id=62, tsval=501)
    wire.packet([hops[1]], T0 + 3 * MS, ACK | 8, 5001, 78, b"question of this", ip_id=63, tsval=502)
    assert [len(path) for path in endpoints(joined(wire, tmp_path))] == [1, 1]


def test_what_packets_join_is_not_joined_the_other_way_round_by_what_is_said(tmp_path: Path) -> None:
    wire, hops = Wire(), full_nat(40000, 20001)
    request = b"GET /a HTTP/1.1\r\nX-Request-Id: 7f3a-0001-22\r\n\r\n"
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    for at, hop in enumerate(hops):
        answer = 9_000_000 + 77_777 * at
        if at == 0:
            wire.packet([hop], T0, SYN, 5000, ip_id=1, tsval=7)
        wire.packet([hop], T0 + MS, SYN | ACK, answer, 5001, back=True, ip_id=2, tsval=8)
        wire.packet([hop], T0 + 3 * MS, ACK | 8, 5001, answer + 1, request, ip_id=3, tsval=9)
        end = T0 + 5 * MS - 2 * hop.delay_ns
        wire.packet([hop], end, ACK | 8, answer + 1, 5001 + len(request), reply, back=True, ip_id=4, tsval=10)
    analysis = joined(wire, tmp_path)
    assert (analysis.paths["method"].to_list(), [len(path) for path in endpoints(analysis)]) == (["shift"], [2])
