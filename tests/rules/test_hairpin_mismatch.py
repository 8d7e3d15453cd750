"""hairpin-mismatch: the pair with one ISN is proof; what SNAT heals and what loops over lo is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import FRONTEND, MEMBERS, findings
from tests.wire import ACK, MS, RST, SYN, T0, Hop, Wire, accept, ignore

pytestmark = pytest.mark.usefixtures("core")
RULE = "hairpin-mismatch"
SECOND = 1_000_000_000
CALLER = MEMBERS[0][0]


def out(port: int, point: str = "a") -> Hop:
    return Hop(point, (CALLER, port), FRONTEND, 64, 5_000, 63)


def looped(port: int, point: str = "a") -> Hop:
    return Hop(point, (CALLER, port), MEMBERS[0], 63, 75_000, 64)


def served(port: int) -> list[Hop]:
    return [out(port), Hop("b", (CALLER, port), MEMBERS[1], 63, 90_000, 64)]


@pytest.mark.parametrize("topology", [True, False])
def test_flags_the_looped_syn(tmp_path: Path, topology: bool) -> None:
    wire = Wire()
    for at in range(6):
        ignore(wire, [out(40000 + at), looped(40000 + at)], T0 + at * 20 * MS, isn=50_000 * at + 7)
        accept(wire, served(41000 + at), T0 + at * 20 * MS, isn=60_000 * at + 9, answer=11)
    (found,) = findings(wire, tmp_path, RULE, *([] if topology else [None]))
    assert found.verdict is Verdict.CONFIRMED
    assert dict(found.subject) == {"member": "10.1.0.4:9443", "frontend": "203.0.113.9:443"}
    assert found.key == "hairpin-mismatch member=10.1.0.4:9443 frontend=203.0.113.9:443"
    assert found.count == 6
    assert found.facts == {"expected_failure_rate": 0.5, "observed_failure_rate": 0.5}
    notes = [item.note for item in found.evidence]
    assert any("out to the frontend" in note for note in notes) and any("same SYN back in" in note for note in notes)


def test_flags_a_host_that_answers_itself_and_resets_the_answer(tmp_path: Path) -> None:
    """Linux with IPv6, or with accept_local: the looped SYN is answered over lo, by the wrong endpoint."""
    wire = Wire()
    for at in range(4):
        isn, when = 50_000 * at + 7, T0 + at * 20 * MS
        for again in (0, 1000):
            hops = [out(40000 + at), looped(40000 + at)]
            wire.packet(hops, when + again * MS, SYN, isn)
            wire.packet(hops[1:], when + (again + 1) * MS, SYN | ACK, 9000 + again, isn + 1, back=True)
            wire.packet(hops[1:], when + (again + 2) * MS, RST, isn + 1)
        accept(wire, served(41000 + at), when, isn=60_000 * at + 9, answer=11)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (found.verdict, found.count) == (Verdict.CONFIRMED, 4)
    assert "answered itself over loopback" in found.summary
    assert any("resets its own answer" in item.note for item in found.evidence)


def test_spares_a_looped_call_that_the_frontend_answers(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(4):
        accept(wire, [out(40000 + at), looped(40000 + at)], T0 + at * 20 * MS, isn=50_000 * at + 7)
    assert findings(wire, tmp_path, RULE, None) == []


def test_flags_a_pool_of_one_where_every_call_fails(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        ignore(wire, [out(40000 + at), looped(40000 + at)], T0 + at * 20 * MS, isn=50_000 * at + 7)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.facts == {"expected_failure_rate": 1.0, "observed_failure_rate": 1.0}


def test_claims_no_share_where_other_members_were_not_seen(tmp_path: Path) -> None:
    """Captured on the caller alone: its own address is the only member that shows, and other calls were served."""
    wire = Wire()
    for at in range(3):
        ignore(wire, [out(40000 + at), looped(40000 + at)], T0 + at * 20 * MS, isn=50_000 * at + 7)
        accept(wire, [out(41000 + at)], T0 + at * 20 * MS, isn=60_000 * at + 9, answer=11)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (found.verdict, found.facts) == (Verdict.CONFIRMED, {"observed_failure_rate": 0.5})
    assert "every such call fails" not in found.summary


def test_flags_as_suspected_when_only_the_outgoing_half_was_captured(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(6):
        ignore(wire, [out(40000 + at, "caller")], T0 + at * 20 * MS, isn=50_000 * at + 7)
        accept(wire, [out(41000 + at, "caller")], T0 + at * 20 * MS, isn=60_000 * at + 9, answer=11)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture


def test_spares_a_hairpin_that_snat_heals(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        healed = Hop("a", ("10.1.0.1", 20000 + at), MEMBERS[0], 63, 75_000, 64)
        accept(wire, [out(40000 + at), healed], T0 + at * 20 * MS, isn=50_000 * at + 7, answer=11)
    assert findings(wire, tmp_path, RULE, None) == []


def test_spares_calls_to_itself_over_loopback(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, [Hop("a", (CALLER, 40000), MEMBERS[0], 64, 5_000, 64, packet_type=0)])
    ignore(wire, [Hop("a", (CALLER, 40001), (CALLER, 1), 64, 5_000, 64, packet_type=0)], isn=99)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_unanswered_calls_of_a_host_outside_the_pool(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(4):
        ignore(wire, [Hop("c", ("10.1.0.77", 40000 + at), FRONTEND, 64)], T0 + at * MS, isn=1000 * at)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_failures_that_would_have_shown_the_loop(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(4):
        ignore(wire, [out(40000 + at)], T0 + at * MS, isn=1000 * at)
    # The caller's own capture holds other clients' packets to its data port, so it would hold the looped SYN.
    accept(wire, [Hop("a", ("198.51.100.7", 1), MEMBERS[0], 60)], T0 + SECOND, isn=4, answer=5)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_when_more_calls_fail_than_the_balancer_s_dice_allow(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(40):
        ignore(wire, [out(40000 + at, "caller")], T0 + at * 20 * MS, isn=50_000 * at + 7)
    accept(wire, [out(41000, "caller")], T0, isn=9, answer=11)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.UNDECIDED


def test_doubts_a_pair_whose_syn_was_never_repeated(tmp_path: Path) -> None:
    wire = Wire()
    ignore(wire, [out(40000), looped(40000)], tries=1)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
