"""Findings for tests of reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flowscope.findings import Evidence, Finding, Severity, Verdict
from tests.traffic import T0

_HAIRPIN = Finding(
    rule="hairpin-mismatch",
    severity=Severity.ERROR,
    verdict=Verdict.CONFIRMED,
    title="vm1 reaches itself through 10.0.0.100:80",
    summary="28 of 90 calls that vm1 made to its own pool were mapped to vm1 itself and timed out.",
    subject={"member": "10.0.0.4:8080", "frontend": "10.0.0.100:80"},
    count=28,
    evidence=tuple(Evidence(0, 7 + at, T0 + at * 1000, "SYN out to the frontend", 0) for at in range(8)),
    flows=(0, 1),
    paths=(0,),
    folded=("frontend-unanswered",),
    facts={"expected_failure_rate": 1 / 3, "observed_failure_rate": 0.31, "where": "in-member", "fast": True},
    names={"10.0.0.4": "vm1"},
    filter="ip.addr == 10.0.0.4 && tcp.seq_raw == 123",
    cause="The balancer keeps the source address, so the member gets its own SYN from itself.",
    remedy=("Put a proxy tier between the members and the frontend.", "Use a second interface."),
    caveats=("The capture at lb began 3 s later.",),
    references=("https://example.org/hairpin",),
    id="F1",
)


def hairpin(**changes: Any) -> Finding:
    """A confirmed hairpin, with whatever a test wants otherwise."""
    return replace(_HAIRPIN, **changes)


def undecided(**changes: Any) -> Finding:
    """A blocked member that could not be decided."""
    usual: dict[str, Any] = {
        "id": "F2",
        "rule": "blocked-traffic",
        "verdict": Verdict.UNDECIDED,
        "title": "SYNs to vm2 are not answered",
        "next_capture": "tcpdump -ni eth0 -w vm2.pcap 'tcp port 8080'",
    }
    return replace(_HAIRPIN, **{**usual, **changes})
