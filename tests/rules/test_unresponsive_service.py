"""unresponsive-service: acknowledged and never answered; long waits, aborts and one-way protocols are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import call, findings
from tests.wire import ACK, FIN, MS, PSH, SYN, T0, Wire, accept, ignore

pytestmark = pytest.mark.usefixtures("core")
RULE = "unresponsive-service"
SECOND = 1_000_000_000


def hang(
    wire: Wire, port: int, at: int = T0, isn: int = 1000, wait: int = 5 * SECOND, points: str = "front back host"
) -> None:
    """A request that is acknowledged; the client gives up after ``wait``."""
    hops = call(1, port, points=points)
    wire.packet(hops, at, SYN, isn)
    wire.packet(hops, at + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, 9001)
    wire.packet(hops, at + 3 * MS, PSH | ACK, isn + 1, 9001, b"question")
    wire.packet(hops, at + 4 * MS, ACK, 9001, isn + 9, back=True)
    wire.packet(hops, at + wait, FIN | ACK, isn + 9, 9001)
    wire.packet(hops, at + wait + MS, ACK, 9001, isn + 10, back=True)


def others(wire: Wire) -> None:
    for at in range(4):
        accept(wire, call(0, 41000 + at), T0 + at * SECOND, isn=70_000 * at + 5)


@pytest.mark.parametrize("topology", [True, False])
def test_flags_requests_that_are_acknowledged_only(tmp_path: Path, topology: bool) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
    (found,) = findings(wire, tmp_path, RULE, *([] if topology else [None]))
    assert found.verdict is (Verdict.CONFIRMED if topology else Verdict.LIKELY)
    assert (dict(found.subject), found.count) == ({"member": "10.1.0.5:9443"}, 3)
    assert found.facts["how"] == "hung"


def test_flags_the_full_accept_queue_with_the_hanging_connections(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
        ignore(wire, call(1, 42000 + at), T0 + 20 * MS, isn=80_000 * at + 3)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.count, found.facts["how"]) == (6, "accept-queue")
    assert findings(wire, tmp_path, "blocked-traffic") == []


def test_spares_a_long_wait_that_ends_in_an_answer(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
        wire.packet(call(1, 40000 + at), T0 + 6 * SECOND, PSH | ACK, 9001, 50_000 * at + 17, b"answer", back=True)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_an_answer_that_was_lost_before_it_was_captured(tmp_path: Path) -> None:
    """The member's last number is beyond what was seen of it: it did answer."""
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7, points="front back")
        wire.packet(
            call(1, 40000 + at, points="front back"), T0 + 5 * SECOND + 9 * MS, ACK, 16_001, 50_000 * at + 17, back=True
        )
    assert findings(wire, tmp_path, RULE) == []


def test_spares_a_client_that_aborts_early(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7, wait=800 * MS)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_a_service_of_which_one_request_is_as_slow(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    hang(wire, 40000, wait=20 * SECOND)
    wire.packet(call(1, 40000), T0 + 19 * SECOND, PSH | ACK, 9001, 1009, b"answer", back=True)
    for at in range(3):
        hang(wire, 42000 + at, T0 + at * MS, 50_000 * at + 7)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_what_the_member_s_interface_did_not_show(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7, points="front back")
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture


def test_doubts_a_service_that_never_answers_anybody(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.UNDECIDED
