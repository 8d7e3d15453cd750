"""What a user knows about a load balancer: its frontends, pools, probes, SNAT addresses, and where captures were taken.

A topology is read from its file by :mod:`flowscope.nat.topology_file`; an empty :class:`Topology` says nothing, and
everything is inferred then. Addresses are canonical text (RFC 5952 for IPv6), so they compare with the addresses of the
tables as they stand.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Mode = Literal["dnat", "dnat+snat", "dsr", "proxy"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Frontend:
    """An address and port that clients call, behind which a pool stands."""

    name: str
    """As given, else ``address:port``."""
    address: str
    port: int
    protocol: Literal["tcp", "udp"] = "tcp"
    pool: str | None = None
    """Name of its pool; None when the file does not say."""
    mode: Mode = "dnat"
    idle_timeout_s: float | None = None
    """Seconds without packets after which the translator forgets a flow."""
    proxy_protocol: Literal["none", "v1", "v2"] = "none"


@dataclass(frozen=True, slots=True)
class Member:
    """One server of a pool."""

    name: str
    """As given, else its address."""
    address: str
    port: int
    enabled: bool = True
    """A disabled member is left out of health and of the expected share."""


@dataclass(frozen=True, slots=True)
class Probe:
    """How a balancer asks the members of a pool whether they are well."""

    source: tuple[Network, ...] = ()
    protocol: Literal["tcp", "http", "https"] = "tcp"
    port: int | None = None
    """None: the member's own port."""
    path: str = "/"
    interval_s: float = 5.0
    timeout_s: float | None = None
    """None: the policy's own, else 5 seconds."""
    policy: Literal["azure-lb", "front-door", "aws-nlb", "gcp", "generic"] = "generic"
    unhealthy_threshold: int | None = None
    """None: the policy's own rule; otherwise it applies to every kind of failure."""
    healthy_threshold: int | None = None
    sample_size: int | None = None
    successful_samples: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """The members that share the work of a frontend."""

    name: str
    members: tuple[Member, ...]
    probe: Probe | None = None


@dataclass(frozen=True, slots=True)
class Snat:
    """An address that a translator puts in place of the sender's, and the ports it may use."""

    address: str
    ports: tuple[int, int] = (1024, 65535)
    """First and last port."""
    ports_per_member: int | None = None
    """Size of each member's share when the range is split."""
    members: tuple[str, ...] = ()
    """Names of the members behind it."""
    inside: tuple[Network, ...] = ()
    """Or the prefixes behind it."""
    fin_hold_s: float | None = None
    rst_hold_s: float | None = None


@dataclass(frozen=True, slots=True)
class PointHint:
    """What the topology says about one observation point."""

    file: str
    """The capture: its path as given on the command line, or its file name."""
    name: str | None = None
    node: str | None = None
    """Where it stands: a member's name, ``lb``, ``client`` or anything else."""
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything a topology file says; without one, nothing."""

    file: str | None = None
    """The file as the user named it, None without one."""
    frontends: tuple[Frontend, ...] = ()
    pools: tuple[Pool, ...] = ()
    snats: tuple[Snat, ...] = ()
    points: tuple[PointHint, ...] = ()

    def __bool__(self) -> bool:
        """True when it says anything about the balancer (hints about points alone do not count)."""
        return bool(self.frontends or self.pools or self.snats)

    def frontend_of(self, address: str, port: int, protocol: str | None = None) -> Frontend | None:
        """The frontend at this address and port, for any protocol unless one is given."""
        for frontend in self.frontends:
            if (frontend.address, frontend.port) == (address, port) and protocol in (None, frontend.protocol):
                return frontend
        return None

    def pool_of(self, name: str | None) -> Pool | None:
        """The pool of this name."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def members_of(self, pool: str | None) -> tuple[Member, ...]:
        """Members of the pool of this name, disabled ones included; none when there is no such pool."""
        found = self.pool_of(pool)
        return found.members if found else ()

    def member_at(self, address: str, port: int | None = None) -> Member | None:
        """The member at this address: the one that serves the port if any does, else the first."""
        here = [member for pool in self.pools for member in pool.members if member.address == address]
        exact = [member for member in here if member.port == port]
        return next(iter(exact or here), None)

    def captured_members(self, nodes: Iterable[str | None]) -> list[str]:
        """Addresses of the members on which points of these nodes stand."""
        named = set(nodes)
        return [one.address for pool in self.pools for one in pool.members if named & {one.name, one.address}]

    def name_of(self, address: str, port: int | None = None) -> str | None:
        """The name people use for an address: its member's, else its frontend's; None when it has none.

        Where several stand at one address, the port tells which is meant; without it no name fits all of them.
        """
        members = [(member.name, member.port) for pool in self.pools for member in pool.members
                   if member.address == address]  # fmt: skip
        fronts = [(one.name, one.port) for one in self.frontends if one.address == address]
        here = members or [(name, at) for name, at in fronts if not name.startswith((f"{address}:", f"[{address}]:"))]
        meant = {name for name, at in here if at == port} or {name for name, _ in here}
        return next(iter(meant)) if len(meant) == 1 and meant != {address} else None

    def snat_at(self, address: str) -> Snat | None:
        """The SNAT entry of this address."""
        return next((snat for snat in self.snats if snat.address == address), None)
