"""asymmetric-return: the member's own SYN-ACK, rejected by the caller; what DSR and scanners do is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import CLIENTS, FRONTEND, MEMBERS, call, findings
from tests.wire import ACK, MS, RST, SYN, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
RULE = "asymmetric-return"
CALLER = MEMBERS[0][0]


def rejected(wire: Wire, port: int, at: int, isn: int, points: str = "a b") -> None:
    """A call of vm-a that vm-b answers straight, and vm-a resets: three tries, each with a new answer."""
    out = [Hop("a", (CALLER, port), FRONTEND, 64, 5_000)]
    onward = [Hop("b", (CALLER, port), MEMBERS[1], 63, 90_000)]
    straight = [Hop("a", (CALLER, port), MEMBERS[1], 64, 5_000), Hop("b", (CALLER, port), MEMBERS[1], 64, 90_000)]
    if points == "back b":
        out = [Hop("back", (CALLER, port), FRONTEND, 64, 20_000)]
        straight = straight[1:]
    for retry in range(3):
        start = at + retry * 1000 * MS
        wire.packet([*out, *onward], start, SYN, isn, tsval=1000 + retry)
        wire.packet(straight, start + MS, SYN | ACK, 777 + retry * 16_000_000, isn + 1, back=True)
        wire.packet(straight, start + 2 * MS, RST, isn + 1)


@pytest.mark.parametrize("topology", [True, False])
def test_flags_answers_that_the_caller_resets(tmp_path: Path, topology: bool) -> None:
    wire = Wire()
    for at in range(4):
        rejected(wire, 40000 + at, T0 + at * 20 * MS, 50_000 * at + 7)
    for at in range(2):
        accept(wire, call(0, 50000 + at), T0 + at * 20 * MS, isn=90 * at + 1)
    (found,) = findings(wire, tmp_path, RULE, *([] if topology else [None]))
    assert found.verdict is Verdict.CONFIRMED
    assert dict(found.subject) == {"member": "10.1.0.4:9443", "frontend": "203.0.113.9:443"}
    assert found.count == 4
    notes = {item.note for item in found.evidence}
    assert "the caller resets it" in notes
    assert "SYN-ACK from 10.1.0.5:9443, which acknowledges the call" in notes


def test_flags_it_from_the_caller_s_capture_alone(tmp_path: Path) -> None:
    wire = Wire()
    rejected(wire, 40000, T0, 7)
    del wire.frames["b"]
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.verdict is Verdict.CONFIRMED
    assert dict(found.subject) == {"client": "10.1.0.4", "frontend": "203.0.113.9:443"}


def test_spares_direct_server_return(tmp_path: Path) -> None:
    wire = Wire()
    hops = [Hop("front", (CLIENTS[0], 40000), FRONTEND, 61), Hop("a", (CLIENTS[0], 40000), FRONTEND, 60, 90_000)]
    wire.packet(hops, T0, SYN, 7)
    wire.packet(hops[1:], T0 + MS, SYN | ACK, 99, 8, back=True)
    wire.packet(hops, T0 + 2 * MS, ACK, 8, 100)
    wire.packet(hops, T0 + 3 * MS, RST, 8)
    assert findings(wire, tmp_path, RULE, None) == []


def test_spares_a_scanner_that_resets_what_the_frontend_offers(tmp_path: Path) -> None:
    wire = Wire()
    wire.packet(call(), T0, SYN, 7)
    wire.packet(call(), T0 + MS, SYN | ACK, 99, 8, back=True)
    wire.packet(call(), T0 + 2 * MS, RST, 8)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_a_member_whose_address_is_rewritten_out_of_sight(tmp_path: Path) -> None:
    wire = Wire()
    wire.packet(call(points="front back host"), T0, SYN, 7)
    wire.packet(call(points="back host"), T0 + MS, SYN | ACK, 99, 8, back=True)
    wire.packet(call(points="back host"), T0 + 2 * MS, ACK, 8, 100)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_a_reset_that_the_caller_s_side_did_not_show(tmp_path: Path) -> None:
    wire = Wire()
    rejected(wire, 40000, T0, 7, "back b")
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert found.caveats and found.next_capture is not None and "tcpdump" in found.next_capture


@pytest.mark.parametrize("points", ["a", "a b"])
def test_spares_a_scan_that_is_offered_one_port(tmp_path: Path, points: str) -> None:
    """One source port and one number for all ports, as scanners send them: the open port answers for itself alone."""
    wire = Wire()
    for at in range(20):
        hops = [Hop("a", (CALLER, 61000), (MEMBERS[1][0], 9430 + at), 64, 5_000)]
        if "b" in points:
            hops.append(Hop("b", (CALLER, 61000), (MEMBERS[1][0], 9430 + at), 63, 90_000))
        start = T0 + at * 30 * MS
        wire.packet(hops, start, SYN, 4711)
        if 9430 + at == MEMBERS[1][1]:
            wire.packet(hops, start + MS, SYN | ACK, 777, 4712, back=True)
            wire.packet(hops, start + 2 * MS, RST, 4712)
    assert findings(wire, tmp_path, RULE, None) == []
