"""A balancer's definition as it is being read: what is known of it, and what its file cannot say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from flowscope.cloud.security_rules import network
from flowscope.nat.topology import Frontend, Member, Mode, Pool, Probe, Snat


@dataclass(slots=True)
class Definition:
    """Collects the parts of a topology from files that are no topology files."""

    frontends: list[Frontend] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)
    snats: list[Snat] = field(default_factory=list)
    unknown: dict[str, None] = field(default_factory=dict)
    """What the files cannot say, one sentence each."""
    read: dict[str, int] = field(default_factory=dict)
    """What stood there, counted, used or not."""

    def count(self, what: str, number: int = 1) -> None:
        """Counts something that was read."""
        if number:
            self.read[what] = self.read.get(what, 0) + number

    def say(self, sentence: str) -> None:
        """Notes what cannot be known."""
        self.unknown[sentence] = None

    def pool(self, name: str, members: Iterable[Member], probe: Probe | None = None) -> str | None:
        """Adds a pool and returns its name; None when it has no member of which the address is known.

        Args:
            name: what people call it; a number is added when another pool has it.
            members: those with an address; a repeated endpoint counts once.
            probe: how they are asked.
        """
        once: dict[tuple[str, int], Member] = {}
        for member in members:
            once.setdefault((member.address, member.port), member)
        if not once:
            return None
        built = Pool(name, tuple(self._named(once.values())), probe)
        same = next((one for one in self.pools if one.members == built.members and one.probe == probe), None)
        if same is not None:
            return same.name
        taken = {one.name for one in self.pools}
        unique = next(one for one in (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)
        self.pools.append(Pool(unique, built.members, probe))
        return unique

    def frontend(self, name: str, address: str, port: int, pool: str | None, mode: Mode, **more: Any) -> None:
        """Adds a frontend; a second one of the same address, port and protocol is noted, not added."""
        new = Frontend(name, address, port, pool=pool, mode=mode, **more)
        if any((one.protocol, one.address, one.port) == (new.protocol, address, port) for one in self.frontends):
            self.say(f"frontend {name} has the address and port of another; only the first is used")
            return
        self.frontends.append(new)

    def _named(self, members: Iterable[Member]) -> list[Member]:
        """Members whose name already stands for another address go by their address."""
        used = {member.name: member.address for pool in self.pools for member in pool.members}
        found = []
        for member in members:
            free = used.setdefault(member.name, member.address) == member.address
            found.append(member if free else Member(member.address, member.address, member.port, member.enabled))
        return found


def address_of(value: object) -> str | None:
    """A value as canonical address; None when it is a name, an id or nothing."""
    found = network(value) if isinstance(value, str) else None
    return str(found.network_address) if found is not None and found.prefixlen == found.max_prefixlen else None


def port_of(value: object) -> int | None:
    """A value as port number; None when it is none."""
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 20 else value
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 65536 else None


def seconds_of(value: object, default: float) -> float:
    """A value as seconds above zero, else a default."""
    number = float(value) if isinstance(value, str) and value.replace(".", "", 1).isdecimal() else value
    return float(number) if isinstance(number, int | float) and not isinstance(number, bool) and number > 0 else default
