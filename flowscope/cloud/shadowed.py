"""Rules that never decide anything: an earlier one takes every packet they were made for."""

from __future__ import annotations

from collections.abc import Iterable

from flowscope.cloud.security_rules import Ports, Rule, RuleSet, Side


def shadowing(given: RuleSet, rule: Rule) -> Rule | None:
    """The earlier rule that takes everything a rule was made for, so that it never decides; None when there is none."""
    if given.order != "first-match":
        return None
    for earlier in given.of(rule.direction):
        if earlier is rule or (earlier.priority or 0) >= (rule.priority or 0):
            return None
        if _covers(earlier, rule):
            return earlier
    return None


def shadowed(sets: Iterable[RuleSet]) -> list[tuple[RuleSet, Rule, Rule]]:
    """Custom rules that never decide because an earlier one of the other mind takes all of theirs."""
    return [
        (given, rule, by)
        for given in sets
        for rule in given.rules
        if not rule.default and (by := shadowing(given, rule)) is not None and by.allow != rule.allow
    ]


def _covers(wide: Rule, narrow: Rule) -> bool:
    return (
        wide.protocol in (None, narrow.protocol)
        and _side_covers(wide.source, narrow.source)
        and _side_covers(wide.destination, narrow.destination)
        and _ports_cover(wide.source_ports, narrow.source_ports)
        and _ports_cover(wide.destination_ports, narrow.destination_ports)
    )


def _side_covers(wide: Side, narrow: Side) -> bool:
    if wide.anything:
        return True
    if narrow.anything:
        return False
    names = {name.lower() for name in wide.names}
    return all(name.lower() in names for name in narrow.names) and all(
        any(one.version == other.version and one.subnet_of(other) for other in wide.networks)  # type: ignore[arg-type]
        for one in narrow.networks
    )


def _ports_cover(wide: Ports, narrow: Ports) -> bool:
    merged: list[list[int]] = []
    for first, last in sorted(wide):
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    return all(any(first <= low and high <= last for first, last in merged) for low, high in narrow)
