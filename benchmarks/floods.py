"""What rules cost where every connection of a busy capture is in trouble, beside the analysis without them.

    python -m benchmarks.floods [--connections 20000]

A rule that goes connection by connection shows here: it costs many times what all the rest does.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

from flowscope.analysis import analyze
from flowscope.settings import Settings
from tests.rules.scene import call
from tests.wire import ACK, FIN, MS, PSH, SYN, T0, Hop, Wire, accept, ignore, refuse

Traffic = Callable[[Wire, list[Hop], int, int], None]
#: When the clock of :func:`clock_set` is set.
_SET_NS = T0 + 15_000 * MS


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
    wire.clock_ns["front"] = 0 if at < _SET_NS else 5_000_000_000
    accept(wire, hops, at, isn, 9000)


def cost_s(captures: list[str], *rules: str) -> float:
    """Processor time of an analysis with these rules only."""
    begun = process_time()
    analysis = analyze(captures, settings=Settings(select=frozenset(rules)))
    assert not analysis.problems, analysis.problems
    return process_time() - begun


FLOODS: tuple[tuple[Traffic, tuple[str, ...]], ...] = (
    (silent, ("blocked-traffic", "path-loss")),
    (half_open, ("blocked-traffic",)),
    (rejected, ("blocked-traffic",)),
    (refused, ("closed-port",)),
    (half_seen, ("half-flow",)),
    (clock_set, ("clock-offset",)),
)


def captures(traffic: Traffic, connections: int, folder: Path) -> list[str]:
    """So many connections of a kind, two milliseconds apart, as files."""
    wire = Wire()
    for number in range(connections):
        client = f"198.51.{number // 100}.{number % 100}"
        hops = call(number % 2, 20000 + number, client)
        traffic(wire, hops, T0 + number * 2 * MS, 1_000_000 + number * 200_001)
    return wire.write(folder)


def main() -> None:
    """Measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=20_000)
    chosen = parser.parse_args()
    for traffic, rules in FLOODS:
        with tempfile.TemporaryDirectory() as folder:
            files = captures(traffic, chosen.connections, Path(folder))
            cost_s(files)
            without = min(cost_s(files), cost_s(files))
            print(
                f"{traffic.__name__:10} {chosen.connections:,} connections: {without:.2f} s without rules", flush=True
            )
            for rule in rules:
                print(f"{'':10} {rule}: {min(cost_s(files, rule), cost_s(files, rule)) - without:+.2f} s", flush=True)


if __name__ == "__main__":
    main()
