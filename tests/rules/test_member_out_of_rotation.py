"""member-out-of-rotation: no traffic because of the probes is no block; traffic in spite of them is told."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.probes.asking import SECOND, ask, clients, known, rounds
from tests.rules.scene import call, findings, judged, probe
from tests.wire import ACK, MS, PSH, RST, SYN, T0, Wire

pytestmark = pytest.mark.usefixtures("core")
RULE = "member-out-of-rotation"
FAIL = ["200", "200", *["503"] * 6, "200", "200"]


@pytest.mark.parametrize("topology", [known(), None])
def test_flags_a_member_without_new_connections(tmp_path: Path, topology: str | None) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 10, FAIL)
    clients(wire, [*[0, 1] * 5, *[0] * 34, *[0, 1] * 5])
    (found,) = findings(wire, tmp_path, RULE, topology)
    assert dict(found.subject) == {"member": "10.1.0.5:9443"}
    assert (found.facts["new_flows"], found.verdict) == (0, Verdict.CONFIRMED)
    (cause,) = findings(wire, tmp_path, "probe-failing", topology)
    assert found.facts["because"] == cause.id
    assert judged(wire, tmp_path, topology).judged["blocked-traffic"] == 0


@pytest.mark.parametrize("topology", [known("generic", "unhealthy_threshold = 3\nhealthy_threshold = 1\n"), None])
def test_tells_how_much_later_it_may_have_gone_down(tmp_path: Path, topology: str | None) -> None:
    """Few calls leave several thresholds open."""
    wire = Wire()
    rounds(wire, ["200"] * 16, ["200", "200", *["503"] * 12, "200", "200"])
    clients(wire, [0, 1, 0, 1, 1, 0, *[0] * 25, 0, 1, 0, 1], each_ms=500)
    (found,) = findings(wire, tmp_path, RULE, topology)
    assert ("It may have gone down up to" in found.summary) == (topology is None)


def test_flags_connections_to_a_member_that_is_down(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 10, FAIL)
    clients(wire, [0, 1] * 25)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert int(str(found.facts["new_flows"])) > 10
    assert "although" in found.title


@pytest.mark.parametrize("prober", ["168.63.129.16", "10.1.0.99"])
def test_spares_a_member_that_fails_a_monitor(tmp_path: Path, prober: str) -> None:
    """Nothing but its even pace makes it a prober, and the balancer does not heed it."""
    wire = Wire()
    for at, member in itertools.product(range(15), (0, 1)):
        hops = [replace(hop, src=(prober, 50000 + 2 * at + member)) for hop in probe(member)]
        ask(wire, hops, T0 + at * SECOND + member * 300 * MS, "503" if member else "200", 9_000 * at + 100 * member)
    clients(wire, [0, 1] * 35)
    assert len(findings(wire, tmp_path, RULE, None)) == (prober == "168.63.129.16")


def test_spares_a_member_that_few_connections_missed(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 10, FAIL)
    clients(wire, [0, 1, 0, 1, 0, 0, 0, 1], each_ms=1200)
    assert findings(wire, tmp_path, RULE, known()) == []


def test_spares_a_member_whose_probes_are_fine(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 10, ["200"] * 10)
    clients(wire, [0] * 50)
    assert findings(wire, tmp_path, RULE, known()) == []


def test_doubts_a_member_that_never_got_any(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 10, ["503"] * 10)
    clients(wire, [0] * 50)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert found.verdict is Verdict.LIKELY
    assert any("before" in caveat for caveat in found.caveats)
    # The member's own capture holds the probes up to the last: one more was not due yet.
    assert not any("No point" in caveat for caveat in found.caveats)


@pytest.mark.parametrize(("last_s", "reset", "told"), [(6, False, (1, 0)), (2.8, True, (0, 1)), (1, False, (0, 0))])
def test_tells_what_became_of_connections_that_it_had(
    tmp_path: Path, last_s: float, reset: bool, told: tuple[int, int]
) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 10, FAIL)
    clients(wire, [*[0, 1] * 5, *[0] * 34, *[0, 1] * 5])
    hops = call(1, 29_999)
    wire.packet(hops, T0, SYN, 4_000)
    wire.packet(hops, T0 + MS, SYN | ACK, 5_000, 4_001, back=True)
    wire.packet(hops, T0 + 2 * MS, ACK, 4_001, 5_001)
    wire.packet(hops, T0 + 3 * MS, PSH | ACK, 4_001, 5_001, b"one")
    at = T0 + round(last_s * SECOND)
    wire.packet(hops, at, PSH | ACK, 5_001, 4_004, b"two", back=True)
    if reset:
        # Within the interval in which the balancer acts.
        wire.packet(hops, at + MS, RST | ACK, 5_004, 4_004, back=True)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert (found.facts["survived"], found.facts["reset"]) == told
    assert ("had went on" in found.summary, "were reset then" in found.summary) == (told[0] > 0, told[1] > 0)
