"""What is documented of a balancer changes what is believed of its packets, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.settings import Settings
from tests.nat.test_direct_return import VIP, call, summary
from tests.wire import ACK, SYN, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

BRIDGE = """
name = "bridge"
title = "A switch that rewrites addresses"
[[source]]
key = "bench"
page = "measured in a lab"
date = "2026"
[survives]
client_isn = { value = "same", source = "bench" }
ttl = { value = "same", source = "bench" }
ip_id = { value = "new", source = "bench" }
"""


def told(files: list[str], profile: str | None) -> Analysis:
    return analyze(files, settings=Settings(profile=profile))


def test_a_translator_that_keeps_the_ttl_joins_where_it_is_documented(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(4):
        front = Hop("sw", ("198.51.100.7", 40000 + at), VIP, 61, 100_000, 63)
        back = Hop("sw", ("10.1.0.1", 20000 + at), ("10.1.0.4", 8080), 61, 120_000, 63)
        accept(wire, [front, back], T0 + at * 1_000_000_000, 1000 + at, 9000 + at)
    files = wire.write(tmp_path)
    (tmp_path / "bridge.toml").write_text(BRIDGE)
    assert [len(legs) for legs in told(files, None).paths["legs"]] == [1] * 8
    assert [len(legs) for legs in told(files, str(tmp_path / "bridge.toml")).paths["legs"]] == [2] * 4


def test_one_host_is_enough_behind_a_balancer_of_direct_returns(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(6):
        call(wire, at, "vm0")
    files = wire.write(tmp_path)
    assert summary(told(files, None)) == {(None, VIP[0], "established")}
    assert summary(told(files, "ipvs-dr")) == {(VIP[0], VIP[0], "established")}


def test_a_call_seen_before_the_translator_only_names_a_frontend_that_others_reached(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        front = Hop("lb", ("198.51.100.7", 40000 + at), VIP, 61, 100_000, 63)
        back = Hop("lb", ("198.51.100.7", 40000 + at), ("10.1.0.4", 8080), 60, 120_000, 64)
        accept(wire, [front, back], T0 + at * 1_000_000, 1000 + at, 9000 + at)
    for at in range(2):
        wire.packet([Hop("lb", ("198.51.100.8", 41000 + at), VIP, 61)], T0 + at, SYN, 77 + at)
    wire.packet([Hop("lb", ("198.51.100.8", 42000), ("203.0.113.77", 80), 61)], T0, ACK, 5)
    found = summary(analyze(wire.write(tmp_path)))
    assert found == {
        (VIP[0], "10.1.0.4", "established"),
        (VIP[0], None, "unanswered"),
        (None, "203.0.113.77", "unknown"),
    }
