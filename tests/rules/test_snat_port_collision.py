"""snat-port-collision: another client's old numbers under a SNAT port; a client's own port reuse is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.outbound import HOSTS, SNAT, START, TOPOLOGY, challenge, hold, numbers_after, way
from tests.rules.scene import findings
from tests.wire import MS, Wire

pytestmark = pytest.mark.usefixtures("core")
RULE = "snat-port-collision"
SECOND = 1_000 * MS


def reused(wire: Wire, second: int, host: str = HOSTS[1], port: int = 50000, points: str = "in out") -> None:
    """A port comes back while the server holds the connection before; the second try, on another port, works."""
    ack, seq = numbers_after(5000)
    challenge(wire, way(port, 1024, host=host, points=points), START + second, 800_000, ack, seq)
    hold(wire, way(port, 1025, host=host, points=points), START + second + 1000 * MS, 800_000, 1, answer=42)


@pytest.mark.parametrize("topology", [TOPOLOGY, None])
def test_flags_a_port_that_came_back_too_early(tmp_path: Path, topology: str | None) -> None:
    wire = Wire()
    hold(wire, way(40000, 1024), START, 5000, 60)
    reused(wire, 3 * SECOND)
    (found,) = findings(wire, tmp_path, RULE, topology)
    assert found.verdict is Verdict.CONFIRMED
    assert dict(found.subject) == {"snat": SNAT, "destination": "198.51.100.10:443"}
    assert found.count == 1
    assert any("bare ACK" in item.note for item in found.evidence)
    assert any("RST" in item.note for item in found.evidence)
    delay = found.facts["delay_ms"]
    assert isinstance(delay, float) and 1000 <= delay < 1010


def test_spares_a_client_that_uses_its_own_port_again(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, way(40000, 1024), START, 5000, 60)
    reused(wire, 3 * SECOND, HOSTS[0], 40000)
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_spares_a_port_that_comes_back_and_is_accepted(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, way(40000, 1024), START, 5000, 1)
    hold(wire, way(50000, 1024, host=HOSTS[1]), START + 3 * SECOND, 800_000, 1)
    assert findings(wire, tmp_path, RULE, TOPOLOGY) == []


def test_spares_a_challenge_without_any_translator(tmp_path: Path) -> None:
    wire = Wire()
    hold(wire, way(40000, 1, points="in"), START, 5000, 60)
    ack, seq = numbers_after(5000)
    challenge(wire, way(40000, 1, points="in"), START + 3 * SECOND, 800_000, ack, seq)
    assert findings(wire, tmp_path, RULE, None) == []


def test_doubts_when_the_old_connection_was_not_captured(tmp_path: Path) -> None:
    wire = Wire()
    reused(wire, 3 * SECOND)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture


def test_doubts_what_only_the_inside_shows(tmp_path: Path) -> None:
    wire = Wire()
    ack, seq = numbers_after(5000)
    challenge(wire, way(50000, 1, points="in"), START, 800_000, ack, seq)
    hold(wire, way(40000, 1, points="in"), START + SECOND, 5000, 1)
    (found,) = findings(wire, tmp_path, RULE, TOPOLOGY)
    assert found.verdict is Verdict.LIKELY
    assert any("inside" in caveat for caveat in found.caveats)
