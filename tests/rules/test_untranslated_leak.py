"""untranslated-leak: the connection goes on under the member's own address; one-armed balancers and closes are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import CLIENTS, FRONTEND, MEMBERS, findings
from tests.wire import ACK, FIN, MS, PSH, RST, SYN, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
RULE = "untranslated-leak"
SECOND = 1_000_000_000


def way(port: int, client: str = CLIENTS[0]) -> tuple[list[Hop], list[Hop]]:
    """As translated, client to member; and bare: the member's own address all the way."""
    src = (client, port)
    front, host = Hop("front", src, FRONTEND, 64, 10_000, 63), Hop("a", src, MEMBERS[0], 63, 90_000, 64)
    return [front, host], [Hop("front", src, MEMBERS[0], 64, 10_000, 63), host]


def forgotten(wire: Wire, port: int, at: int = T0, isn: int = 1000, *, rejected: bool = True) -> None:
    """The request is translated, the late answer is not."""
    hops, bare = way(port)
    wire.packet(hops, at, SYN, isn)
    wire.packet(hops, at + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, 9001)
    wire.packet(hops, at + 3 * MS, PSH | ACK, isn + 1, 9001, b"question")
    wire.packet(bare, at + 4 * SECOND, PSH | ACK, 9001, isn + 9, b"late answer", back=True)
    if rejected:
        wire.packet(bare, at + 4 * SECOND + MS, RST, isn + 9)


@pytest.mark.parametrize("topology", [True, False])
def test_flags_a_late_answer_under_the_member_s_own_address(tmp_path: Path, topology: bool) -> None:
    wire = Wire()
    for at in range(3):
        forgotten(wire, 40000 + at, T0 + at * 20 * MS, 50_000 * at + 7)
        accept(wire, way(41000 + at)[0], T0 + at * 20 * MS, isn=60_000 * at + 9)
    (found,) = findings(wire, tmp_path, RULE, *([] if topology else [None]))
    assert (found.verdict, found.count) == (Verdict.CONFIRMED, 3)
    assert dict(found.subject) == {"member": "10.1.0.4:9443"}
    notes = {item.note for item in found.evidence}
    assert "untranslated from 10.1.0.4:9443 at front" in notes and "reset by the peer at front" in notes


def test_flags_it_at_the_client_alone(tmp_path: Path) -> None:
    wire = Wire()
    forgotten(wire, 40000)
    del wire.frames["a"]
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.CONFIRMED


def test_flags_an_outbound_connection_that_loses_its_source_address(tmp_path: Path) -> None:
    wire = Wire()
    inside, shown, server = ("10.1.0.77", 40000), ("203.0.113.1", 2000), ("198.51.100.9", 443)
    hops = [Hop("in", inside, server, 64, 10_000), Hop("out", shown, server, 63, 50_000)]
    bare = [hops[0], Hop("out", inside, server, 63, 50_000)]
    wire.packet(hops, T0, SYN, 1000)
    wire.packet(hops, T0 + MS, SYN | ACK, 9000, 1001, back=True)
    wire.packet(hops, T0 + 2 * MS, ACK, 1001, 9001)
    for again in range(3):
        wire.packet(bare, T0 + (4 + again) * SECOND, PSH | ACK, 1001, 9001, b"late question")
    (found,) = findings(wire, tmp_path, RULE, None)
    assert dict(found.subject) == {"host": "10.1.0.77"}
    assert found.verdict is Verdict.CONFIRMED


def test_spares_a_balancer_on_a_stick(tmp_path: Path) -> None:
    wire = Wire()
    src = (CLIENTS[0], 40000)
    hops = [Hop("lb", src, FRONTEND, 64, 10_000), Hop("lb", src, MEMBERS[0], 63, 40_000)]
    accept(wire, hops)
    assert findings(wire, tmp_path, RULE, None) == []


def test_spares_a_balancer_on_a_stick_mirrored_one_way(tmp_path: Path) -> None:
    wire = Wire()
    src = (CLIENTS[0], 40000)
    front, back = Hop("lb", src, FRONTEND, 64, 10_000), Hop("lb", src, MEMBERS[0], 63, 40_000)
    wire.packet([front], T0, SYN, 1000)
    wire.packet([back], T0 + MS, SYN | ACK, 9000, 1001, back=True)
    wire.packet([front], T0 + 2 * MS, ACK, 1001, 9001)
    wire.packet([front], T0 + 3 * MS, PSH | ACK, 1001, 9001, b"question")
    wire.packet([back], T0 + 4 * MS, PSH | ACK, 9001, 1009, b"answer", back=True)
    assert findings(wire, tmp_path, RULE, None) == []


def test_spares_a_fin_repeated_after_the_end(tmp_path: Path) -> None:
    wire = Wire()
    hops, bare = way(40000)
    accept(wire, hops, isn=1000, answer=9000)
    wire.packet(bare, T0 + 5 * SECOND, FIN | ACK, 9012, 1015, back=True)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_what_was_translated_anew_to_another_address(tmp_path: Path) -> None:
    """The translator forgot the flow and took the member's late packet for a new one of its own."""
    wire = Wire()
    hops, _ = way(40000)
    anew = [Hop("front", (CLIENTS[0], 40000), ("203.0.113.80", 2077), 64, 10_000, 63), hops[1]]
    forgotten(wire, 41000)
    wire.packet(hops, T0, SYN, 1000)
    wire.packet(hops, T0 + MS, SYN | ACK, 9000, 1001, back=True)
    wire.packet(hops, T0 + 2 * MS, ACK, 1001, 9001)
    for again in range(3):
        wire.packet(anew, T0 + (4 + again) * SECOND, PSH | ACK, 9001, 1001, b"late answer", back=True)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (dict(found.subject), found.count) == ({"member": "10.1.0.4:9443"}, 1)


@pytest.mark.parametrize("topology", [True, False])
def test_doubts_whose_address_it_is_when_the_sender_s_side_is_missing(tmp_path: Path, topology: bool) -> None:
    wire = Wire()
    hops, _ = way(40000)
    elsewhere = [Hop("front", (CLIENTS[0], 40000), ("192.0.2.80", 9443), 64, 10_000, 63)]
    wire.packet(hops[:1], T0, SYN, 1000)
    wire.packet(hops[:1], T0 + MS, SYN | ACK, 9000, 1001, back=True)
    wire.packet(hops[:1], T0 + 2 * MS, ACK, 1001, 9001)
    for again in range(3):
        wire.packet(elsewhere, T0 + (4 + again) * SECOND, PSH | ACK, 9001, 1001, b"late answer", back=True)
    (found,) = findings(wire, tmp_path, RULE, *([] if topology else [None]))
    assert found.verdict is Verdict.LIKELY
    assert any("second translation" in caveat for caveat in found.caveats)


def test_doubts_a_leak_that_nobody_rejected(tmp_path: Path) -> None:
    wire = Wire()
    forgotten(wire, 40000, rejected=False)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture
