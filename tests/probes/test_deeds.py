"""How many probes a balancer takes to decide, read from whom it sends new connections to."""

from __future__ import annotations

from collections import deque
from itertools import product
from pathlib import Path

import pytest

from tests.probes.asking import ask, clients, rounds
from tests.rules.scene import MEMBERS, judged
from tests.wire import MS, T0, Hop, Wire

pytestmark = pytest.mark.usefixtures("core")
SECOND = 1_000_000_000
SCRIPT = ["200", "200", *["503"] * 5, *["200"] * 6]


def health(folder: Path, out_s: float, back_s: float, every_ms: int = 50) -> tuple[str, list[tuple[str, float]]]:
    """How the second member's policy is known, and its changes; it gets no calls from ``out_s`` until ``back_s``."""
    wire, calls = Wire(), 12_500 // every_ms
    rounds(wire, ["200"] * 13, SCRIPT)
    clients(wire, [n % 2 if not out_s < n * every_ms / 1000 < back_s else 0 for n in range(calls)], each_ms=every_ms)
    told = [one for one in judged(wire, folder, None).health if one.timeline[-1].reason and one.failed.height]
    (one,) = told
    return one.series.policy_by, [(c.state, round((c.time_ns - T0) / SECOND, 1)) for c in one.timeline]


@pytest.mark.parametrize("fall", [1, 2, 3])
@pytest.mark.parametrize("rise", [1, 2])
def test_thresholds_show_in_what_a_member_gets(tmp_path: Path, fall: int, rise: int) -> None:
    # The second member is asked 0.3 s after each full second, and answers at once.
    down, up = 1.3 + fall, 6.3 + rise
    by, changes = health(tmp_path, down, up)
    assert by == "traffic"
    assert changes[-2:] == [("down", down), ("up", up)]


def test_a_balancer_that_does_not_act_shows_no_threshold(tmp_path: Path) -> None:
    by, changes = health(tmp_path, 99, 99)
    assert by == "assumed"
    assert changes[-2:] == [("down", 2.3), ("up", 7.3)]


def test_a_member_that_fails_all_the_time_and_gets_its_share_shows_no_threshold(tmp_path: Path) -> None:
    """So many failures are beyond any threshold: these probes are not what the balancer goes by."""
    wire = Wire()
    rounds(wire, ["200"] * 25, ["503"] * 25)
    clients(wire, [n % 2 for n in range(480)], each_ms=50)
    (one,) = [one for one in judged(wire, tmp_path, None).health if one.failed.height]
    assert one.series.policy_by == "assumed"


def test_few_connections_show_none(tmp_path: Path) -> None:
    assert health(tmp_path, 3.3, 8.3, every_ms=900)[0] == "assumed"


EDGES = ("147.243.0.9", "147.243.0.77")
ASKS = b"HEAD /up HTTP/1.1\r\nHost: vm\r\nUser-Agent: Edge Health Probe\r\nX-FD-HealthProbe: 1\r\n\r\n"
FETCHES = b"GET / HTTP/1.1\r\nHost: vm\r\nUser-Agent: x\r\nVia: 1.1 Azure\r\n\r\n"
FAILING = "g" * 10 + "bg" + "b" * 8 + "g" * 10


@pytest.mark.parametrize(("size", "needed"), [(4, 2), (4, 3), (2, 1), (6, 2)])
def test_each_edge_shows_its_samples_in_whom_it_forwards_clients_to(tmp_path: Path, size: int, needed: int) -> None:
    """No frontend is seen, only edges that ask and forward; the second edge meets no failure."""
    wire, judge = Wire(), deque([True] * size, maxlen=size)
    inside, expected = True, []
    for at, answer in enumerate(FAILING):
        for (edge, source), (member, (address, port)) in product(enumerate(EDGES), enumerate(MEMBERS)):
            good = answer == "g" or edge or not member
            hops = [Hop("ab"[member], (source, 40_000 + 2 * at + member), (address, port), 60)]
            when = T0 + at * SECOND + 100 * MS * edge + 300 * MS * member
            ask(wire, hops, when, "200" if good else "503", 90_000 * at + 1000 * member + 100 * edge, request=ASKS)
            if member and not edge:
                judge.append(good)
                if inside is not (sum(judge) >= needed):
                    inside = not inside
                    expected.append(("up" if inside else "down", round((when - T0) / SECOND, 1)))
        for call in range(16):
            # What an edge thinks of a member counts for its own clients only.
            edge = call % 2
            member = (call // 2) % 2 if edge or inside else 0
            hops = [Hop("ab"[member], (EDGES[edge], 50_000 + 16 * at + call), MEMBERS[member], 60)]
            when = T0 + at * SECOND + 450 * MS + 30 * MS * call
            ask(wire, hops, when, "200", 5_000_000 + 90_000 * at + 1000 * call, request=FETCHES)
    found = judged(wire, tmp_path, None).health
    assert {one.series.policy for one in found} == {"front-door"}
    (failed,) = [one for one in found if one.failed.height]
    changes = [(one.state, round((one.time_ns - T0) / SECOND, 1)) for one in failed.timeline]
    assert changes[-len(expected) :] == expected
    assert failed.series.policy_by == "traffic"
    assert {one.state for health in found if health is not failed for one in health.timeline} == {"up"}
