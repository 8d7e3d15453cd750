"""Probes that are sent to the frontend's own address, as each of two members holds it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.probes.asking import SECOND, ask
from tests.rules.scene import FRONTEND, TOPOLOGY
from tests.wire import MS, T0, End, Hop, Wire, accept

GOOGLE = "35.191.3.4"
DIRECT = TOPOLOGY.replace("port = 443\n", 'port = 443\nmode = "dsr"\n').replace("9443", "443")
WELL = "200 " * 14


def shared(member: int, src: End, dst: End = FRONTEND, at: str = "host", cooked: bool = False) -> list[Hop]:
    """A call to an address that both members hold: before them, and on the one that gets it."""
    hops = {
        "front": Hop("front", src, dst, 63, 5_000, 62),
        "back": Hop("back", src, dst, 64, 10_000),
        "host": Hop("ab"[member], src, dst, 64, 40_000, packet_type=0 if cooked else None),
    }
    return [hops[name] for name in at.split()]


def asked(
    *scripts: str,
    source: str = GOOGLE,
    dst: End = FRONTEND,
    at: str = "host",
    later_ns: int = 0,
    cooked: bool = False,
    wire: Wire | None = None,
) -> Wire:
    """A probe a second of each member at the frontend's address, by scripts of words; ignored ones get no farther than
    the first point where there are two."""
    wire = wire or Wire()
    for member, script in enumerate(scripts):
        for number, met in enumerate(script.split()):
            src = (source, 50_000 + 2 * number + member + later_ns // MS)
            hops, when = shared(member, src, dst, at, cooked), T0 + number * SECOND + member * 300 * MS + later_ns
            isn = 10_000 * number + 100 * member + later_ns // 1000 + 5
            if met != "-":
                ask(wire, hops, when, met, isn, upto=1 if met == "ignore" and len(hops) > 1 else None)
    return wire


def direct_clients(wire: Wire, members: Sequence[int]) -> None:
    """Five calls a second, each served by a member in the frontend's name."""
    for number, member in enumerate(members):
        hops, when = shared(member, ("198.51.100.7", 30_000 + number), at="front host"), T0 + number * 200 * MS + 7 * MS
        accept(wire, hops, when, isn=7_000_000 + 1000 * number, answer=9_000_000 + 1000 * number)
