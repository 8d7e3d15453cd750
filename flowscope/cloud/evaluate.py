"""What security rules do to a packet: allow, deny, or not to be told; with the rule that decides.

Within an ordered set the first match wins; of unordered groups any allow is enough; of several sets in front of a host
(subnet and interface) all must allow. A rule that names what is not known splits the world in two: only when both ways
lead to the same end is there an answer.

Source: Azure, network-security-group-how-it-works and network-security-groups-overview (2025-07); Amazon VPC user
guide, network ACLs and security groups.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from flowscope.cloud.names import Address, Names, among
from flowscope.cloud.security_rules import Direction, Level, Ports, Rule, RuleSet, Side

Decision = Literal["allow", "deny", "unknown"]

EPHEMERAL = (1024, 65535)
"""Ports that clients take for themselves, of any system."""
IMPLICIT = "implicit deny"
"""Stands where a rule's name would, when a group of allows has none for a packet."""

#: Who is asked first: an administrator's rules; then from outside to inside, and for what leaves the other way.
_INBOUND: tuple[Level, ...] = ("network-manager", "subnet", "unknown", "interface")
_OUTBOUND: tuple[Level, ...] = ("network-manager", "interface", "unknown", "subnet")


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a flow, as the rules of a host see it: behind the balancer's translation inbound."""

    direction: Direction
    protocol: int
    src: str
    src_port: int | None
    """None: any port of its kind, as of a prober whose packets were not seen."""
    dst: str
    dst_port: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a packet."""

    decision: Decision
    group: RuleSet | None = None
    """Whose rule decides."""
    rule: Rule | None = None
    """None when a group decides by having no rule for it."""
    reason: str = ""
    """Why nobody can tell."""
    also: tuple[str, ...] = ()
    """Other groups that deny it, too."""

    @property
    def rule_name(self) -> str:
        """The deciding rule by name."""
        return self.rule.name if self.rule is not None else IMPLICIT


def evaluate(sets: Sequence[RuleSet], packet: Packet, names: Names) -> Answer:
    """What all the sets in front of a host do to a packet that begins a flow.

    Args:
        sets: those of one host; their order does not matter.
        packet: as the host's rules see it.
        names: what the names in rules stand for.
    """
    if not sets:
        return Answer("unknown", reason="no rules were given for this host")
    order = _INBOUND if packet.direction == "inbound" else _OUTBOUND
    answers: list[Answer] = []
    grouped = [one for one in sets if one.order == "any-allow"]
    ordered = sorted((one for one in sets if one.order == "first-match"), key=lambda one: order.index(one.level))
    for one in ordered:
        answer = _first_match(one, packet, names)
        if answer.decision == "allow" and answer.rule is not None and answer.rule.final:
            return answer
        answers.append(answer)
    if grouped:
        answers.append(_any_allow(grouped, packet, names))
    denying = [one for one in answers if one.decision == "deny"]
    if denying:
        others = tuple(f"{one.group.name}/{one.rule_name}" for one in denying[1:] if one.group is not None)
        first = denying[0]
        return Answer("deny", first.group, first.rule, first.reason, others)
    unknown = next((one for one in answers if one.decision == "unknown"), None)
    return unknown or answers[-1]


def evaluate_answer(sets: Sequence[RuleSet], packet: Packet, names: Names) -> Answer:
    """What the sets of a host do to the answer of a flow they let in: only those without memory look at it.

    Args:
        sets: those of one host.
        packet: the packet that began the flow.
        names: what the names in rules stand for.
    """
    forgetful = [one for one in sets if not one.stateful]
    if not forgetful:
        return Answer("allow", sets[0] if sets else None)
    return evaluate(forgetful, answering(packet), names)


def answering(packet: Packet) -> Packet:
    """The first packet back."""
    back: Direction = "outbound" if packet.direction == "inbound" else "inbound"
    port = EPHEMERAL[0] if packet.src_port is None else packet.src_port
    return Packet(back, packet.protocol, packet.dst, packet.dst_port, packet.src, port)


def _first_match(given: RuleSet, packet: Packet, names: Names) -> Answer:
    doubts: list[tuple[Rule, str]] = []
    end: Answer | None = None
    for rule in given.of(packet.direction):
        matches, why = _matches(rule, packet, _with_own(names, given))
        if matches is None:
            doubts.append((rule, why))
        elif matches:
            end = Answer("allow" if rule.allow else "deny", given, rule)
            break
    if end is None:
        if given.level == "network-manager" and not doubts:
            return Answer("allow", given)
        cut = "the list was cut, or its default rules were left out"
        end = Answer("unknown", given, reason=f"{given.name} has no {packet.direction} rule for it in this file: {cut}")
    # Rules in doubt stand before the end: they matter only when one of them would lead elsewhere.
    for rule, why in reversed(doubts):
        if ("allow" if rule.allow else "deny") != end.decision:
            return Answer("unknown", given, rule, f"{why} (rule {rule.name!r} of {given.name})")
    return end


def _any_allow(groups: Sequence[RuleSet], packet: Packet, names: Names) -> Answer:
    doubt: Answer | None = None
    for given in groups:
        for rule in given.of(packet.direction):
            matches, why = _matches(rule, packet, _with_own(names, given))
            if matches:
                return Answer("allow", given, rule)
            if matches is None and doubt is None:
                doubt = Answer("unknown", given, rule, f"{why} ({rule.name} of {given.name})")
    return doubt or Answer("deny", groups[0], None)


def _with_own(names: Names, given: RuleSet) -> Names:
    if not given.tags:
        return names
    return replace(names, known={**names.known, **dict(given.tags)})


def _matches(rule: Rule, packet: Packet, names: Names) -> tuple[bool | None, str]:
    """True, False, or None with the reason why nobody can tell."""
    if rule.protocol is not None and rule.protocol != packet.protocol:
        return False, ""
    if packet.protocol in (6, 17) and not _has_port(rule.destination_ports, packet.dst_port):
        return False, ""
    host = _address(packet.dst if packet.direction == "inbound" else packet.src)
    doubts = []
    for side, text in ((rule.source, packet.src), (rule.destination, packet.dst)):
        found, why = matches_side(side, _address(text), names, host)
        if found is False:
            return False, ""
        if found is None:
            doubts.append(why)
    if packet.protocol in (6, 17):
        if packet.src_port is not None and not _has_port(rule.source_ports, packet.src_port):
            return False, ""
        if packet.src_port is None and rule.source_ports not in (((0, 65535),), ((1024, 65535),)):
            doubts.append("the source port is not known")
    return (None, doubts[0]) if doubts else (True, "")


def matches_side(side: Side, address: Address, names: Names, host: Address | None) -> tuple[bool | None, str]:
    """Whether one end of a rule stands for an address; None, with the reason, when nobody can tell."""
    if side.anything or among(address, side.networks):
        return True, ""
    unknown = None
    for name in side.names:
        found = names.holds(name, address, host)
        if found:
            return True, ""
        unknown = name if found is None else unknown
    return (False, "") if unknown is None else (None, f"it is not given whether {unknown} holds {address}")


def _has_port(ranges: Ports, port: int) -> bool:
    return any(first <= port <= last for first, last in ranges)


@lru_cache(maxsize=4096)
def _address(text: str) -> Address:
    return ipaddress.ip_address(text)
