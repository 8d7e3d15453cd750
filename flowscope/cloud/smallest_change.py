"""The smallest change of a rule set that lets a flow through, as a sentence; tried before it is offered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flowscope.cloud.evaluate import EPHEMERAL, Packet, evaluate
from flowscope.cloud.names import PLATFORM, Names
from flowscope.cloud.security_rules import ANYTHING, Rule, RuleSet, Side, network, port_text

#: Priorities that a custom rule of a network security group may have.
_FIRST, _LAST = 100, 4096
_LAST_ACL = 32766
#: So many addresses are still a list to write down.
_LISTED = 6


@dataclass(frozen=True, slots=True)
class Change:
    """What to do to one group."""

    text: str
    group: RuleSet
    """As it would be afterwards."""


def smallest_changes(
    sets: Sequence[RuleSet], packets: Sequence[Packet], names: Names, *, answers: bool = False
) -> list[Change]:
    """One change per group that denies; with all of them every packet is let through. None when that cannot be shown.

    Args:
        sets: those in front of the host.
        packets: of one service and direction, all of them denied.
        names: what the names in rules stand for.
        answers: the packets answer others, to ports that clients took for themselves.
    """
    now, changes = list(sets), []
    for _ in range(len(sets)):
        denied = [(answer, one) for one in packets if (answer := evaluate(now, one, names)).decision == "deny"]
        if not denied:
            break
        group = denied[0][0].group
        assert group is not None
        mine = [one for answer, one in denied if answer.group is group]
        rules = {answer.rule for answer, _ in denied if answer.group is group}
        change = _moved(group, rules, mine, names) or _added(group, rules, mine, EPHEMERAL if answers else None)
        if change is None:
            return []
        changes.append(change)
        now[now.index(group)] = change.group
    return changes if all(evaluate(now, one, names).decision == "allow" for one in packets) else []


def _moved(group: RuleSet, rules: set[Rule | None], packets: Sequence[Packet], names: Names) -> Change | None:
    """An allow that was written for this and never gets its turn is put before the rule that denies."""
    denying = [rule for rule in rules if rule is not None and rule.priority is not None]
    if len(denying) != len(rules) or not denying or group.order != "first-match":
        return None
    before = min(rule.priority for rule in denying if rule.priority is not None)
    for late in group.of(packets[0].direction):
        if not late.allow or late.default or (late.priority or 0) < before:
            continue
        place = _free(group, packets[0], before)
        if place is None:
            return None
        changed = replace(
            group, rules=tuple(replace(one, priority=place) if one is late else one for one in group.rules)
        )
        if all(evaluate([changed], one, names).decision == "allow" for one in packets):
            by = ", ".join(f"{rule.name!r} ({rule.priority})" for rule in denying)
            text = (
                f"{group.name}: give rule {late.name!r} priority {place} instead of {late.priority}: it allows this, "
                f"but {by} is tried first."
            )
            return Change(text, changed)
    return None


def _added(
    group: RuleSet, rules: set[Rule | None], packets: Sequence[Packet], ports: tuple[int, int] | None
) -> Change | None:
    """One more allow, for exactly these packets."""
    first = packets[0]
    inbound = first.direction == "inbound"
    others = _others(packets)
    low, high = ports or (min(one.dst_port for one in packets), max(one.dst_port for one in packets))
    new = Rule(
        name="new rule",
        direction=first.direction,
        allow=True,
        priority=None,
        protocol=first.protocol,
        source=others if inbound else ANYTHING,
        destination=ANYTHING if inbound else others,
        destination_ports=((low, high),),
    )
    protocol = {6: "TCP", 17: "UDP"}.get(first.protocol, f"protocol {first.protocol}")
    way = "from" if inbound else "to"
    end = f"{way} {others.text}, port{'s' * (low != high)} {port_text(((low, high),))}"
    if group.order == "any-allow":
        changed = replace(group, rules=(*group.rules, new))
        return Change(f"{group.name}: allow {first.direction} {protocol} {end}.", changed)
    before = min((rule.priority for rule in rules if rule is not None and rule.priority is not None), default=None)
    place = None if before is None else _free(group, first, before)
    if place is None:
        return None
    word = "number" if not group.stateful else "priority"
    changed = replace(group, rules=(*group.rules, replace(new, priority=place)))
    return Change(f"{group.name}: add an {first.direction} rule with {word} {place}: allow {protocol} {end}.", changed)


def _others(packets: Sequence[Packet]) -> Side:
    """The other ends of these packets."""
    texts = dict.fromkeys(one.src if one.direction == "inbound" else one.dst for one in packets)
    if list(texts) == [str(PLATFORM)]:
        return Side(names=("AzureLoadBalancer",))
    listed = [one for text in texts if (one := network(text)) is not None]
    if len(listed) <= _LISTED:
        return Side(tuple(listed))
    widest = listed[0]
    while not all(one.version == widest.version and one.subnet_of(widest) for one in listed):  # type: ignore[arg-type]
        if widest.prefixlen == 0:
            return Side(tuple(listed))
        widest = widest.supernet()
    return Side((widest,))


def _free(group: RuleSet, packet: Packet, before: int) -> int | None:
    """The last priority before another one that nobody has."""
    taken = {rule.priority for rule in group.of(packet.direction)}
    last, first = (_LAST, _FIRST) if group.stateful else (_LAST_ACL, 1)
    return next((one for one in range(min(before - 1, last), first - 1, -1) if one not in taken), None)
