"""client-port-collision: two callers and one tuple at the member; a port used again after a close is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.outbound import challenge, hold, numbers_after
from tests.rules.scene import CLIENTS, FRONTEND, MEMBERS, TOPOLOGY, findings
from tests.wire import MS, T0, End, Hop, Wire, ignore

pytestmark = pytest.mark.usefixtures("core")
RULE = "client-port-collision"
SECOND = 1_000 * MS
START = T0 + SECOND
INNER = "10.1.0.1"
SECOND_FRONTEND = ("203.0.113.10", 443)


def masked(client: str, port: int = 33333, frontend: End = FRONTEND, inner: str | None = INNER) -> list[Hop]:
    """A call through a balancer that puts its own address in the client's place and keeps the port."""
    return [
        Hop("front", (client, port), frontend, 61, 100_000, 63),
        Hop("a", (inner or client, port), MEMBERS[0], 60, 160_000, 64),
    ]


def met(wire: Wire, later: list[Hop], at: int = 3 * SECOND) -> None:
    ack, seq = numbers_after(5000)
    challenge(wire, later, START + at, 800_000, ack, seq)


@pytest.mark.parametrize("topology", [TOPOLOGY, None])
def test_flags_two_clients_behind_one_address(tmp_path: Path, topology: str | None) -> None:
    wire = Wire()
    hold(wire, masked(CLIENTS[0]), START, 5000, 20)
    met(wire, masked(CLIENTS[1]))
    (found,) = findings(wire, tmp_path, RULE, topology)
    assert found.verdict is Verdict.CONFIRMED
    assert dict(found.subject) == {"member": "10.1.0.4:9443"}
    assert found.count == 2
    assert CLIENTS[0] in found.summary and CLIENTS[1] in found.summary
    assert any("bare ACK" in item.note for item in found.evidence)


def test_flags_one_client_and_two_frontends(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, masked(CLIENTS[0], inner=None), START, 5000, 20)
    met(wire, masked(CLIENTS[0], frontend=SECOND_FRONTEND, inner=None))
    (found,) = findings(wire, tmp_path, RULE, None)
    assert found.verdict is Verdict.CONFIRMED
    assert "two frontends" in found.summary


def test_spares_a_client_that_uses_its_own_port_again(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, masked(CLIENTS[0]), START, 5000, 20)
    met(wire, masked(CLIENTS[0]))
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_spares_a_tuple_that_had_been_closed(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, masked(CLIENTS[0]), START, 5000, 1)
    met(wire, masked(CLIENTS[1]))
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_spares_clients_with_ports_of_their_own(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, masked(CLIENTS[0]), START, 5000, 20)
    hold(wire, masked(CLIENTS[1], 33334), START + SECOND, 9000, 5)
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_doubts_when_the_member_s_answer_is_missing(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, masked(CLIENTS[0]), START, 5000, 20)
    ignore(wire, masked(CLIENTS[1]), START + 3 * SECOND, 800_000)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture
