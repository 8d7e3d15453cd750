"""A pool behind a balancer, to try rules on: two members, a frontend, points where a test wants them."""

from __future__ import annotations

from pathlib import Path

from flowscope.analysis import Analysis, analyze
from flowscope.findings import Finding
from tests.wire import Hop, Wire

CLIENTS = ("198.51.100.7", "198.51.100.8")
FRONTEND = ("203.0.113.9", 443)
MEMBERS = (("10.1.0.4", 9443), ("10.1.0.5", 9443))
PROBER = "168.63.129.16"

TOPOLOGY = """
[[frontend]]
name = "shop"
address = "203.0.113.9"
port = 443
pool = "shop"

[[pool]]
name = "shop"
members = [
    { name = "vm-a", address = "10.1.0.4", port = 9443 },
    { name = "vm-b", address = "10.1.0.5", port = 9443 },
]

[[point]]
file = "a.pcap"
node = "vm-a"

[[point]]
file = "b.pcap"
node = "vm-b"
"""


def call(member: int = 0, port: int = 40000, client: str = CLIENTS[0], points: str = "front back host") -> list[Hop]:
    """A client's connection through DNAT: before the balancer, behind it, and on the member (``a``, ``b``)."""
    src, dst = (client, port), MEMBERS[member]
    hops = {
        "front": Hop("front", src, FRONTEND, 61, 100_000, 63),
        "back": Hop("back", src, dst, 60, 160_000, 64),
        "host": Hop("ab"[member], src, dst, 60, 200_000, 64),
    }
    return [hops[name] for name in points.split()]


def probe(member: int = 0, port: int = 50000) -> list[Hop]:
    """A probe of the platform, seen behind the balancer and on the member; not on the data port."""
    src, dst = (PROBER, port), (MEMBERS[member][0], 9999)
    return [Hop("back", src, dst, 64, 10_000), Hop("ab"[member], src, dst, 64, 40_000)]


def judged(wire: Wire, folder: Path, topology: str | None = TOPOLOGY) -> Analysis:
    """The analysis of what a wire carried, with a topology or without."""
    given = None
    if topology is not None:
        given = folder / "topology.toml"
        given.write_text(topology)
    return analyze(wire.write(folder), topology=None if given is None else str(given))


def findings(wire: Wire, folder: Path, rule: str, topology: str | None = TOPOLOGY) -> list[Finding]:
    """What one rule says of it."""
    analysis = judged(wire, folder, topology)
    assert not analysis.problems, analysis.problems
    return [one for one in analysis.findings if one.rule == rule]
