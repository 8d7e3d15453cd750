"""probe-blocked: where probes get lost, and what only looks like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowscope.findings import Severity, Verdict
from tests.probes.asking import SECOND, arp, ask, clients, known, rounds
from tests.rules.scene import call, findings, probe
from tests.wire import MS, SYN, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
RULE = "probe-blocked"


@pytest.mark.parametrize(
    ("upto", "where", "verdict"), [(None, "in-member", Verdict.LIKELY), (1, "before-member", Verdict.CONFIRMED)]
)
def test_flags_where_they_get_lost(tmp_path: Path, upto: int | None, where: str, verdict: Verdict) -> None:
    wire = Wire()
    # It answered before, so no capture filter hides the probed port.
    rounds(wire, ["200"] * 9, ["200", *["ignore"] * 6], upto=upto)
    clients(wire, [0, 1] * 20)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert dict(found.subject) == {"member": "10.1.0.5:9999"}
    assert (found.facts["where"], found.verdict, found.count) == (where, verdict, 6)
    assert "Clients were served meanwhile" in found.summary
    for other in ("blocked-traffic", "probe-failing", "all-members-down"):
        assert findings(wire, tmp_path, other, known()) == []


def test_flags_answers_that_get_lost_on_the_way_back(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 9, ["200", "-", "-", "-", "-", "-", "-", "200"])
    for at in range(1, 7):
        ask(wire, probe(1, 52000 + at), T0 + at * SECOND, "lost", 90_000 + 1000 * at, upto=1)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert (found.facts["where"], found.verdict) == ("return-path", Verdict.CONFIRMED)


def test_names_the_prober_whose_probes_are_dropped_and_no_other(tmp_path: Path) -> None:
    """Another one is answered at the same port all the time, so no full queue drops them."""
    wire = Wire()
    other = known().replace('source = ["168.63.129.16"]', 'source = ["168.63.129.16", "10.1.0.9"]')
    rounds(wire, ["200"] * 9, ["200"] * 9)
    for at in range(9):
        hops = [replace(hop, src=("10.1.0.9", 55000 + at)) for hop in probe(1)]
        ask(wire, hops, T0 + at * SECOND + 600 * MS, "200" if at < 2 else "ignore", 600_000 + 1000 * at)
    (found,) = findings(wire, tmp_path, RULE, other)
    assert (found.facts["where"], found.verdict) == ("in-member", Verdict.CONFIRMED)
    assert "6 of 9 probes of 10.1.0.9 to" in found.summary
    assert "Probes of 168.63.129.16 were answered." in found.summary


def test_doubts_probes_that_get_lost_here_and_there(tmp_path: Path) -> None:
    """Many of them, three in a row at times: loss on the way, and no rule that denies them."""
    wire = Wire()
    said = ["200", "ignore", "200", *["ignore"] * 3, "200", "200", "ignore", "200", *["ignore"] * 2, "200", "200"]
    rounds(wire, ["200"] * len(said), said, upto=1)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert found.verdict is Verdict.UNDECIDED
    assert any("here and there" in caveat for caveat in found.caveats)


def test_flags_a_block_that_came_twice(tmp_path: Path) -> None:
    wire = Wire()
    said = ["200", "200", *["ignore"] * 5, "200", "200", "200", *["ignore"] * 5, "200", "200"]
    rounds(wire, ["200"] * len(said), said, upto=1)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert (found.verdict, found.count) == (Verdict.CONFIRMED, 10)


def test_tells_probes_that_are_rejected_from_those_that_get_no_answer(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 9, ["200"])
    for at in range(1, 7):
        hops, when, isn = probe(1, 52000 + at), T0 + at * SECOND, 90_000 + 1000 * at
        wire.packet(hops, when, SYN, isn)
        wire.icmp_error(hops, when + MS, "10.1.0.5", 3, 13, isn)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert (found.facts["how"], found.facts["icmp_code"]) == ("icmp", 13)
    assert "were rejected with ICMP." in found.summary


def test_spares_one_lost_probe(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 6, ["200", "200", "ignore", "200", "200", "200"])
    assert findings(wire, tmp_path, RULE, known()) == []


def test_spares_the_end_and_the_start_of_a_capture(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 4, ["-", "-", "200", "200"])
    for member in (0, 1):
        wire.packet(probe(member, 51000 + member), T0 + 4 * SECOND, SYN, 77 + member)
    assert findings(wire, tmp_path, RULE, known()) == []


def test_doubts_when_nobody_answers_and_no_member_was_captured(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(6):
        hops = [Hop("back", ("168.63.129.16", 50000 + at), ("10.1.0.4", 9999), 63)]
        ask(wire, hops, T0 + at * SECOND, "ignore", 1000 * at)
        ask(wire, [Hop("back", ("192.0.2.1", 6000 + at), ("192.0.2.2", 80), 63)], T0 + at * SECOND, "200", 1000 * at)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (found.facts["where"], found.verdict) == ("unknown", Verdict.UNDECIDED)
    assert found.next_capture is not None


def test_doubts_a_capture_of_one_direction(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(6):
        hops = [Hop("back", ("168.63.129.16", 50000 + at), ("10.1.0.4", 9999), 63)]
        ask(wire, hops, T0 + at * SECOND, "ignore", 1000 * at)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.verdict is Verdict.UNDECIDED
    assert any("one direction" in caveat for caveat in found.caveats)


@pytest.mark.parametrize("upstream", [False, True])
def test_doubts_probes_that_stop_arriving(tmp_path: Path, upstream: bool) -> None:
    wire = Wire()
    for at in range(24):
        for member in (0, 1):
            hops = probe(member, 50000 + 2 * at + member)[0 if upstream else 1 :]
            if member == 0 or at < 3:
                ask(wire, hops, T0 + at * SECOND, "200", 10_000 * at + 100 * member)
    clients(wire, [0, 1] * 60)
    found = findings(wire, tmp_path, RULE, known())
    # A point before the member that does not see them either says that nobody sends them.
    assert [(one.subject["member"], one.verdict) for one in found] == (
        [] if upstream else [("10.1.0.5:9999", Verdict.UNDECIDED)]
    )


@pytest.mark.parametrize("siblings", [True, False])
def test_a_silent_members_point_is_told_by_those_of_its_siblings(tmp_path: Path, siblings: bool) -> None:
    wire = Wire()
    for at in range(6):
        ask(wire, probe(0, 50000 + at)[: 2 if siblings else 1], T0 + at * SECOND, "200", 1000 * at)
        ask(wire, probe(1, 51000 + at), T0 + at * SECOND, "ignore", 1000 * at + 500)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (found.facts["where"], found.verdict) == ("in-member" if siblings else "unknown", Verdict.LIKELY)


def test_doubts_where_when_the_members_point_saw_the_time_of_few(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 9, ["200", *["ignore"] * 6], upto=1)
    # The member's capture ends after the first lost probe.
    ask(wire, [Hop("b", ("192.0.2.1", 6000), ("10.1.0.5", 22), 60)], T0 + 3 * SECOND // 2, "tcp", 77)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert (found.facts["where"], found.verdict) == ("before-member", Verdict.LIKELY)
    assert any("of the others no point" in caveat for caveat in found.caveats)


@pytest.mark.parametrize(
    ("heard_ms", "served_at", "where"),
    [
        ([-10, 5000], None, "before-member"),
        ([-10], None, "before-member"),
        ([4800], None, "before-member"),
        # It served a client after its capture's last frame: that had ended.
        ([-10], 4, "unknown"),
        ([-4000, -3000], None, "unknown"),
        ([9000], None, "unknown"),
    ],
)
def test_a_member_that_only_arp_reaches(tmp_path: Path, heard_ms: list[int], served_at: int | None, where: str) -> None:
    wire, first = Wire(), T0 + 300 * MS
    rounds(wire, ["200"] * 7, ["ignore"] * 6, upto=1)
    arp(wire, "b", *(first + at * MS for at in heard_ms))
    if served_at is not None:
        accept(wire, call(1, points="front back"), T0 + served_at * SECOND)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert (found.facts["where"], found.verdict) == (where, Verdict.LIKELY)
    doubted = any("may not have been running" in caveat for caveat in found.caveats)
    assert doubted == (where == "before-member" and len(heard_ms) == 1)


@pytest.mark.parametrize("others", [True, False])
def test_doubts_a_member_of_which_no_probe_was_captured(tmp_path: Path, others: bool) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 24 if others else [])
    clients(wire, [0, 1] * 60)
    found = {str(one.subject["member"]): one for one in findings(wire, tmp_path, RULE, known())}
    assert set(found) == {"10.1.0.5:9999"} | (set() if others else {"10.1.0.4:9999"})
    silent = found["10.1.0.5:9999"]
    assert (silent.verdict, silent.severity) == (Verdict.UNDECIDED, Severity.ERROR if others else Severity.INFO)
    assert any("capture filter" in caveat for caveat in silent.caveats)


def test_spares_a_window_too_short_for_probes(tmp_path: Path) -> None:
    wire = Wire()
    clients(wire, [0, 1] * 10)
    assert findings(wire, tmp_path, RULE, known()) == []
