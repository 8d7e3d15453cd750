"""Frames that a capture lost are no probes that failed: healthy probers, and whatever a busy capture leaves of them."""

from __future__ import annotations

import copy
import random
from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.probes.asking import SECOND, clients, known, rounds
from tests.rules.scene import judged, probe
from tests.wire import ACK, FIN, MS, PSH, RST, SYN, T0, Wire

pytestmark = pytest.mark.usefixtures("core")
PROBE_RULES = {"probe-blocked", "probe-failing", "all-members-down", "member-out-of-rotation"}


def healthy(kind: str) -> Wire:
    """Two members, a dozen good probes each."""
    wire = Wire()
    if kind == "chatty":
        chat(wire)
    else:
        rounds(wire, *[["tcp" if kind == "connect" else "200"] * 12] * 2, close=RST if kind == "reset" else FIN)
    clients(wire, [0, 1] * 30)
    return wire


def chat(wire: Wire) -> None:
    """Probes as a kernel sends them: each segment acknowledged by itself, the answer in two parts."""
    parts = b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 2\r\n\r\nok"
    request = b"GET /up HTTP/1.1\r\nHost: vm\r\n\r\n"
    for at in range(12):
        for member in (0, 1):
            hops, when = probe(member, 50000 + 2 * at + member), T0 + at * SECOND + member * 300 * MS
            sent, got = 10_000 * at + 100 * member + 6, 10_000 * at + 100 * member + 83
            plan = [(False, SYN, sent - 1, 0, b""), (True, SYN | ACK, got - 1, sent, b""), (False, ACK, sent, got, b"")]
            plan.append((False, PSH | ACK, sent, got, request))
            sent += len(request)
            plan.append((True, ACK, got, sent, b""))
            for part in parts:
                plan.append((True, PSH | ACK, got, sent, part))
                got += len(part)
                plan.append((False, ACK, sent, got, b""))
            plan += [(True, FIN | ACK, got, sent, b""), (False, FIN | ACK, sent, got + 1, b"")]
            plan.append((True, ACK, got + 1, sent + 1, b""))
            for step, (back, flags, seq, ack, payload) in enumerate(plan):
                wire.packet(hops, when + step * MS, flags, seq, ack, payload, back=back)


def lossy(wire: Wire, share: float, rng: random.Random, points: str) -> Wire:
    """What captures that lose each frame with that probability hold of it."""
    worse = copy.deepcopy(wire)
    kept = {name: [one for one in frames if rng.random() >= share] for name, frames in worse.frames.items()}
    worse.frames = {name: frames for name, frames in kept.items() if name in points.split()}
    return worse


@pytest.mark.parametrize("points", ["front back a b", "back"])
@pytest.mark.parametrize("kind", ["plain", "reset", "connect", "chatty"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_lost_frames_take_nobody_down(tmp_path: Path, kind: str, share: float, points: str) -> None:
    wire, rng = healthy(kind), random.Random(f"{kind} {share} {points}")
    for trial in range(3):
        worse = lossy(wire, share, rng, points)
        for topology in (known("azure-lb"), None):
            analysis = judged(worse, tmp_path, topology)
            told = [
                one for one in analysis.findings if one.rule in PROBE_RULES and one.verdict is not Verdict.UNDECIDED
            ]
            assert not told, (trial, [(one.rule, one.summary) for one in told])
            changes = [change for health in analysis.health for change in health.timeline]
            assert not [change for change in changes if change.state == "down"], trial


@pytest.mark.parametrize("met", ["503", "hang", "refuse", "ignore"])
def test_real_failures_are_still_seen_through_loss(tmp_path: Path, met: str) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 14, ["200", "200", *[met] * 10, "200", "200"])
    found = set()
    for seed in range(3):
        analysis = judged(lossy(wire, 0.1, random.Random(seed), "back a b"), tmp_path, known())
        found |= {(one.rule, str(one.subject.get("member"))) for one in analysis.findings if one.rule in PROBE_RULES}
        assert any(one.rule.startswith("probe-") for one in analysis.findings), seed
    rule = "probe-blocked" if met == "ignore" else "probe-failing"
    assert found == {(rule, "10.1.0.5:9999")}
