"""Security rules of any cloud in one form: rules, the group they stand in, and the hosts it stands in front of."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

from flowscope.errors import GivenFileError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Direction = Literal["inbound", "outbound"]
Ports = tuple[tuple[int, int], ...]
"""Ranges, first and last port."""

ANY_PORT: Ports = ((0, 65535),)


@dataclass(frozen=True, slots=True)
class Side:
    """What a rule says about one end of a flow: any of these."""

    networks: tuple[Network, ...] = ()
    names: tuple[str, ...] = ()
    """Service tags and groups, as written; what they stand for is known or unknown when a packet is tried."""
    anything: bool = False
    """``*``: every address of either family."""

    @property
    def text(self) -> str:
        """As one would write it."""
        listed = ["any"] if self.anything else [*map(str, self.networks), *self.names]
        return ", ".join(listed[:4]) + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")


ANYTHING = Side(anything=True)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a rule set."""

    name: str
    direction: Direction
    allow: bool
    priority: int | None
    """Lower is tried first; None in groups without order."""
    protocol: int | None = None
    """IP protocol number, None for any."""
    source: Side = ANYTHING
    source_ports: Ports = ANY_PORT
    destination: Side = ANYTHING
    destination_ports: Ports = ANY_PORT
    default: bool = False
    """One of the platform's own, which cannot be removed."""
    final: bool = False
    """Ends the evaluation of every later set (an administrator's ``AlwaysAllow``)."""

    @property
    def text(self) -> str:
        """The rule in one line."""
        ports = "any port" if self.destination_ports == ANY_PORT else f"port {port_text(self.destination_ports)}"
        protocol = {None: "any protocol", 6: "tcp", 17: "udp", 1: "icmp"}.get(
            self.protocol, f"protocol {self.protocol}"
        )
        verb = "allow" if self.allow else "deny"
        return f"{verb} {protocol} from {self.source.text} to {self.destination.text}, {ports}"


Order = Literal["first-match", "any-allow"]
Level = Literal["network-manager", "subnet", "interface", "unknown"]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One security group (or network ACL): rules that are evaluated together."""

    name: str
    file: str
    rules: tuple[Rule, ...]
    order: Order = "first-match"
    """``any-allow``: allowed when any rule of any such set of the host allows it, else denied."""
    stateful: bool = True
    """False: answers need a rule of their own."""
    level: Level = "unknown"
    hosts: tuple[Network, ...] | None = None
    """Addresses it stands in front of; None when the file does not say."""
    scope: str = ""
    """Id of the interface, subnet or machine it was printed for; sets of one scope belong together."""
    tags: tuple[tuple[str, tuple[Network, ...]], ...] = ()
    """What names of its rules stand for, where the file says so itself (expanded prefixes)."""

    def of(self, direction: Direction) -> list[Rule]:
        """Rules of one direction in the order in which they are tried."""
        chosen = [rule for rule in self.rules if rule.direction == direction]
        return sorted(chosen, key=lambda rule: -1 if rule.priority is None else rule.priority)


def check_priorities(found: RuleSet) -> RuleSet:
    """The set itself, when every priority of a direction belongs to one rule.

    Raises:
        GivenFileError: two rules share one; both are named.
    """
    first: dict[tuple[Direction, int], Rule] = {}
    for rule in found.rules:
        if rule.priority is None:
            continue
        other = first.setdefault((rule.direction, rule.priority), rule)
        if other is not rule and other != rule:
            raise GivenFileError(
                found.file,
                f"rules {other.name!r} and {rule.name!r} of {found.name} both have priority {rule.priority} "
                f"({rule.direction}): which one wins is not defined; export the group again",
            )
    return found


def port_text(ports: Ports) -> str:
    """Ranges as people write them."""
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ports)


def network(text: str) -> Network | None:
    """An address or prefix as a network; None when it is a name. Host bits are dropped, as clouds do."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None
