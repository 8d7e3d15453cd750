"""What is known of the SNAT addresses: how many ports there are, for whom, and how long each is held.

The topology comes first; what it leaves open is what the profile documents as the default of that kind of balancer.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from flowscope.nat.numbers import address_numbers
from flowscope.nat.profile import Profile
from flowscope.nat.topology import Snat, Topology

#: Inside addresses as a translator has them; documentation prefixes are none, though Python calls them private.
_INSIDE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))


@dataclass(frozen=True, slots=True)
class Allocation:
    """The ports of one SNAT address."""

    snat: int
    """Address number."""
    ports: int
    """Of all, or of each member."""
    per_member: bool
    fin_hold_s: float | None
    """None when neither topology nor profile says."""
    rst_hold_s: float | None
    source: str
    """``topology`` or ``profile``: who says how many ports there are."""


def allocations(
    topology: Topology, profile: Profile, addresses: pl.DataFrame, seen: Iterable[int], hosts: int
) -> list[Allocation]:
    """The SNAT addresses of the topology that a packet names, or that stand for an inside which was captured.

    Args:
        topology: as given.
        profile: what is documented of the balancer.
        addresses: the table of addresses.
        seen: numbers of the SNAT addresses that outbound connections showed.
        hosts: how many hosts behind them were seen; a pool that the topology lists is counted instead.
    """
    number = address_numbers(addresses, (one.address for one in topology.snats))
    listed = [
        _allocation(one, number.get(one.address, -1 - at), topology, profile, hosts)
        for at, one in enumerate(topology.snats)
    ]
    taken = {one.snat for one in listed}
    size = sum(len(pool.members) for pool in topology.pools) or hosts
    ports = _documented(profile, size)
    if ports is not None:
        fin_s, rst_s = _holds(profile, None, None)
        listed += [Allocation(snat, *ports, fin_s, rst_s, "profile") for snat in sorted({*seen} - taken)]
    return listed


def _documented(profile: Profile, members: int) -> tuple[int, bool] | None:
    """Ports by default for each of so many members (True), or of the whole address; None when the profile is silent."""
    each = profile.ports.ports_per_member(members)
    if each is not None:
        return each, True
    return (profile.ports.per_address.value, False) if profile.ports.per_address else None


def _holds(profile: Profile, fin_s: float | None, rst_s: float | None) -> tuple[float | None, float | None]:
    hold = profile.hold
    fin_s = hold.fin_s.value if fin_s is None and hold.fin_s else fin_s
    return fin_s, hold.rst_s.value if rst_s is None and hold.rst_s else rst_s


def insiders(topology: Topology, addresses: pl.DataFrame, clients: Iterable[int]) -> dict[int, int]:
    """Clients that stand behind exactly one SNAT address of the topology: their address numbers, and its own.

    An address that no packet names has a negative number: -1 minus its place in the topology.
    """
    if not topology.snats:
        return {}
    number = address_numbers(addresses, (one.address for one in topology.snats))
    behind: dict[int, int] = {}
    for client in clients:
        text = str(addresses["text"][client])
        found = [at for at, one in enumerate(topology.snats) if _is_inside(one, text, topology)]
        if len(found) == 1:
            behind[client] = number.get(topology.snats[found[0]].address, -1 - found[0])
    return behind


def stays_inside(topology: Topology, addresses: pl.DataFrame, destinations: Iterable[int]) -> set[int]:
    """Destinations that need no SNAT: insiders, members, frontends, and private ones where the SNAT address is not."""
    own = {one.address for one in topology.frontends}
    public = not any(is_inside(one.address) for one in topology.snats)
    kept = set()
    for destination in destinations:
        text = str(addresses["text"][destination])
        inside = any(_is_inside(one, text, topology) for one in topology.snats)
        if inside or text in own or topology.member_at(text) is not None or (public and is_inside(text)):
            kept.add(destination)
    return kept


def address_text(topology: Topology, addresses: pl.DataFrame, snat: int) -> str:
    """The SNAT address as text, whether or not a packet names it."""
    return topology.snats[-1 - snat].address if snat < 0 else str(addresses["text"][snat])


def _allocation(one: Snat, number: int, topology: Topology, profile: Profile, hosts: int) -> Allocation:
    first, last = one.ports
    ports, per_member, source = one.ports_per_member or last - first + 1, one.ports_per_member is not None, "topology"
    if not per_member and one.ports == Snat("").ports:
        # The whole range, as nobody wrote otherwise: the documented default is nearer to the truth.
        members = len(one.members) or sum(len(pool.members) for pool in topology.pools) or hosts
        documented = _documented(profile, members)
        if documented is not None:
            (ports, per_member), source = documented, "profile"
    return Allocation(number, ports, per_member, *_holds(profile, one.fin_hold_s, one.rst_hold_s), source)


def _is_inside(one: Snat, text: str, topology: Topology) -> bool:
    address = ipaddress.ip_address(text)
    if any(address.version == network.version and address in network for network in one.inside):
        return True
    member = topology.member_at(text)
    return member is not None and (member.name in one.members or member.address in one.members)


def is_inside(text: str) -> bool:
    """True for an address that no packet outside of a translator should bear."""
    address = ipaddress.ip_address(text)
    return any(address.version == network.version and address in network for network in _INSIDE)
