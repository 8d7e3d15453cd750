"""Rules cost about as much as the rest of an analysis, also where every connection of a busy capture is in trouble."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

from flowscope.analysis import analyze
from flowscope.settings import Settings
from tests.rules.scene import call
from tests.wire import ACK, FIN, MS, PSH, SYN, T0, Hop, Wire, accept, ignore, refuse

CONNECTIONS = 15_000


def silent(wire: Wire, hops: list[Hop], at: int, isn: int) -> None:
    """SYNs that reach the member, again and again, and nobody answers."""
    ignore(wire, hops, at, isn, tries=3)


def half_open(wire: Wire, hops: list[Hop], at: int, isn: int) -> None:
    """SYNs whose answer gets lost on the way back."""
    for wait_ms in (0, 1000):
        wire.packet(hops, at + wait_ms * MS, SYN, isn)
        wire.packet(hops, at + (wait_ms + 1) * MS, SYN | ACK, isn + 7_000_000, isn + 1, back=True, upto=2)


def rejected(wire: Wire, hops: list[Hop], at: int, isn: int) -> None:
    """SYNs that the balancer's side answers with ICMP."""
    wire.packet(hops, at, SYN, isn, upto=2)
    wire.icmp_error(hops, at + MS, "10.1.0.1", 3, 13, isn)


def refused(wire: Wire, hops: list[Hop], at: int, isn: int) -> None:
    """A client that is refused by as many hosts as it asks."""
    host = (f"10.{isn % 13}.{isn // 13 % 250}.{isn // 3250 % 250}", 9443)
    refuse(wire, [Hop(hop.point, hop.src, host, hop.ttl, hop.delay_ns, hop.reply_ttl) for hop in hops[1:2]], at, isn)


def half_seen(wire: Wire, hops: list[Hop], at: int, isn: int) -> None:
    """Connections that work; of every second one the host's point sees the answers only."""
    accept(wire, hops[:2] if isn & 2 else hops, at, isn, 9000)
    if isn & 2:
        asked = isn + 1 + len(b"question %d" % isn)
        wire.packet(hops[2:], at + MS // 2, SYN | ACK, 9000, isn + 1, back=True)
        wire.packet(hops[2:], at + MS // 2, ACK, 9001, asked, back=True)
        wire.packet(hops[2:], at + MS, PSH | ACK, 9001, asked, b"answer 9000", back=True)
        wire.packet(hops[2:], at + 2 * MS, FIN | ACK, 9012, asked + 1, back=True)


def clock_set(wire: Wire, hops: list[Hop], at: int, isn: int) -> None:
    """Connections that work, while the clock of the first point is set after half of them."""
    wire.clock_ns["front"] = 0 if at - T0 < CONNECTIONS * MS else 5_000_000_000
    accept(wire, hops, at, isn, 9000)


def cost_s(captures: list[str], *rules: str) -> float:
    """Processor time of an analysis with these rules only."""
    begun = process_time()
    analysis = analyze(captures, settings=Settings(select=rules))
    assert not analysis.problems, analysis.problems
    return process_time() - begun


@pytest.mark.parametrize(
    ("traffic", "rules"),
    [
        (silent, ["blocked-traffic", "path-loss"]),
        (half_open, ["blocked-traffic"]),
        (rejected, ["blocked-traffic"]),
        (refused, ["closed-port"]),
        (half_seen, ["half-flow"]),
        (clock_set, ["clock-offset"]),
    ],
)
def test_rules_do_not_go_connection_by_connection(
    tmp_path: Path, traffic: Callable[[Wire, list[Hop], int, int], None], rules: list[str]
) -> None:
    wire = Wire()
    for number in range(CONNECTIONS):
        client = f"198.51.{number // 100}.{number % 100}"
        hops = call(number % 2, 20000 + number, client)
        traffic(wire, hops, T0 + number * 2 * MS, 1_000_000 + number * 200_001)
    captures = wire.write(tmp_path)
    cost_s(captures)
    without = cost_s(captures)
    for rule in rules:
        assert min(cost_s(captures, rule), cost_s(captures, rule)) < 2 * without, rule
