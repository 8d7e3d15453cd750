"""A rule of a security group drops the traffic, or will drop the probes.

What it flags
    Connections to a member that nobody answered and that a given rule (`--nsg`) denies, or that a given flow log
    (`--flow-log`) says were denied; and probes that a rule denies. The facts name group, rule, priority and direction.
    Without such files the same packets are `blocked-traffic` and `probe-blocked`.

Why it matters
    This is cause 2 of the Azure Load Balancer guide: a network security group blocks the port, or the prober. Probes
    come from 168.63.129.16, which is part of the tag VirtualNetwork: a deny for everything, or for VirtualNetwork,
    with a number below the default rules' takes the member out of the pool.

Evidence
    The unanswered SYNs, at each point that saw them; the rule that decides about them, evaluated with the addresses
    that the member's own rules see (after the balancer's translation); the flow log's records of these connections.

Look-alikes
    Rules in a file say what would happen, not what did: another filter, or a member that is down, looks the same, so
    without a flow log the verdict is `likely`. A deny record and no packet at the member is proof. Packets that reached
    the member's own interface were not stopped by a group in front of it: then the rule is only named (`undecided`),
    and `blocked-traffic` stands. Where a log says the traffic was let in, or others that the same rule denies were
    served meanwhile, the file is not what was in force. Names in rules (tags, groups) that nobody resolved make an
    answer unknown.

Check next
    The effective rules of that very interface (`az network nic list-effective-nsg`), and the flow log of that hour.

Example
    $ cd captures/nsg-deny
    $ flowscope analyze . --topology topology.toml --nsg nsg.json=vm2 --select nsg-deny
    F1  ERROR  deny-3000 of vm2-nsg denies connections to vm2 on port 3000  [nsg-deny, likely]
        16 connections (64 SYNs, retries included) to 10.163.134.196:3000 got no answer, and rule 'deny-3000'
        (priority 310) of vm2-nsg denies them inbound: deny any protocol from any to any, port 3000.

References
    Azure, network-security-group-how-it-works; network-security-groups-overview (2025-07).
    Azure Load Balancer troubleshooting (2020-01-28): cause 2.
    Amazon VPC user guide: security groups, network ACLs, flow logs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from flowscope.cloud.shadowed import shadowed
from flowscope.cloud.smallest_change import smallest_changes
from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.rules.denied_probes import denied_probes
from flowscope.rules.denied_unseen import denied_unseen
from flowscope.rules.evidence import Note, prove, tcpdump_line
from flowscope.rules.security_answers import REACHED, UNPLACED, Told, served_against, tell
from flowscope.rules.silence import ENOUGH_SYNS, describe
from flowscope.window import Window

SEVERITY = Severity.ERROR


def judge(window: Window) -> Iterator[Finding]:
    """One finding per member endpoint that is cut off, with its probes where these are the same port."""
    if not window.cloud:
        return
    silent = describe(window).filter(pl.col("how") == "silent")
    told = {path: one for path, one in tell(window, silent).items() if one.denied}
    probes = {(one.member, one.port): one for one in denied_probes(window)}
    unseen = {(one.member, one.port): one for one in denied_unseen(window)}
    denied = silent.filter(pl.col("path").is_in(list(told)))
    for (backend, port), paths in denied.group_by("backend", "backend_port", maintain_order=True):
        end = (int(str(backend)), int(str(port)))
        more = [one.sentence(window) for one in [probes.pop(end, None)] if one is not None]
        more += [one.sentence for one in [unseen.pop(end, None)] if one is not None]
        yield _traffic(window, paths, [told[path] for path in paths["path"]], end, more)
    for end, one in probes.items():
        more = [other.sentence for other in [unseen.pop(end, None)] if other is not None]
        yield one.finding(window, _remedies(window, [one.told]), more)
    for alone in unseen.values():
        found = alone.finding(window)
        if found is not None:
            yield found


@dataclass(frozen=True, slots=True)
class _Named:
    """The rule that decides about most of the traffic."""

    group: str
    rule: str
    priority: int | None
    direction: str
    text: str


def _traffic(
    window: Window, paths: pl.DataFrame, told: Sequence[Told], end: tuple[int, int], more: Sequence[str]
) -> Finding:
    named, others = _named(told)
    backend, port = end
    where = _where(paths)
    logged = sum(one.logged.denied for one in told if one.logged is not None)
    reached = _reached(where, told)
    caveats: list[str] = []
    verdict, explains = _verdict(window, paths, told, where, logged, caveats)
    proof = prove(window, paths, ("syn", "syn-ack"), _note(window))
    called, endpoint = window.called(backend, port), window.endpoint(backend, port)
    number = "" if named.priority is None else f" (priority {named.priority})"
    summary = (
        f"{len(paths):,} connections ({int(paths['syns'].sum()):,} SYNs, retries included) to {endpoint} got no "
        f"answer, and rule {named.rule!r}{number} of {named.group} denies them {named.direction}{named.text}."
    )
    if logged:
        summary += f" The flow log has {logged:,} records of them being denied."
    summary += {
        "before-member": " None of their packets was seen at the member.",
        "in-member": " They did reach the member's interface.",
        "return-path": " They did reach the member, which answered."
        if reached
        else " The member answered, and its answers got lost: this group does not remember what it let in.",
    }.get(where, "")
    if others:
        caveats.append(f"Other rules deny some of them: {', '.join(others)}.")
    summary = " ".join([summary, *more])
    facts: dict[str, Fact] = {
        "nsg": named.group,
        "rule_name": named.rule,
        "priority": named.priority,
        "direction": named.direction,
        "where": where,
        "how": "silent",
    }
    if logged:
        facts["denied_records"] = logged
    return Finding(
        rule="nsg-deny",
        severity=SEVERITY,
        verdict=verdict,
        title=f"{named.rule} of {named.group} denies connections to {called} on port {port}",
        summary=summary,
        subject={"member": endpoint},
        count=len(paths),
        evidence=proof.evidence,
        flows=proof.flows,
        # What contradicts the file is explained by something else.
        paths=tuple(paths["path"]) if explains else (),
        facts=facts,
        names=window.names([backend]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=f"The security rule {named.rule!r}{number} of {named.group}.",
        remedy=_remedies(window, told),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"{tcpdump_line([window.address(backend)], port, 'member.pcap')}  (on {called} and on the hop before it)",
        references=(
            "Azure Load Balancer troubleshooting, 2020-01-28: cause 2",
            "Azure: network-security-group-how-it-works",
        ),
    )


def _named(told: Sequence[Told]) -> tuple[_Named, list[str]]:
    """The rule that denies most of these, and the names of the others."""
    counts: dict[_Named, int] = {}
    for one in told:
        name = _name(one)
        counts[name] = counts.get(name, 0) + 1
    ordered = sorted(counts, key=lambda name: -counts[name])
    others = [f"{name.rule} of {name.group}" for name in ordered[1:]]
    return ordered[0], [*others, *dict.fromkeys(also for one in told for also in one.answer.also)]


def _name(one: Told) -> _Named:
    answer, logged = one.answer, one.logged
    by_rules = answer.decision == "deny" and answer.group is not None
    if logged is not None and logged.denied and not (by_rules and logged.rule in (None, answer.rule_name)):
        # The log names who decided; a file that says otherwise is of another time or place.
        return _Named(logged.group or "the log's group", logged.rule or "a rule the log does not name", None,
                      logged.direction or one.packet.direction, "")  # fmt: skip
    assert answer.group is not None
    rule = answer.rule
    direction = rule.direction if rule is not None else one.packet.direction
    text = f": {rule.text}" if rule is not None else ": no rule of it allows them"
    return _Named(answer.group.name, answer.rule_name, rule.priority if rule is not None else None, direction, text)


def _verdict(
    window: Window, paths: pl.DataFrame, told: Sequence[Told], where: str, logged: int, caveats: list[str]
) -> tuple[Verdict, bool]:
    """How sure it is, and whether the rule explains these paths at all."""
    sure = bool(paths["sure"].all())
    if _reached(where, told):
        if sure:
            caveats.append(REACHED)
            return Verdict.UNDECIDED, False
        caveats.append("Where the points stand was inferred: the point that saw the SYNs may be outside of the group.")
    if not logged:
        served = served_against(window, told, int(str(paths["first_ns"].min())))
        if served:
            caveats.append(
                f"{served:,} connections that the same rule denies were served meanwhile: the file does not say what "
                "was in force."
            )
            return Verdict.UNDECIDED, False
        if int(paths["syns"].sum()) < ENOUGH_SYNS:
            caveats.append("Too few SYNs were sent to tell a block from loss.")
            return Verdict.UNDECIDED, True
        caveats.append("A file says what rules would do, not what they did: a flow log of that time would prove it.")
        if not all(one.placed for one in told):
            caveats.append(UNPLACED)
    if where == "unknown":
        caveats.append("No point at the member was captured: a member that is down looks the same.")
    proven = logged >= len(paths) and where == "before-member" and sure
    return Verdict.CONFIRMED if proven else Verdict.LIKELY, True


def _reached(where: str, told: Sequence[Told]) -> bool:
    """True when the packets that a rule denies were seen behind it."""
    return where in ("in-member", "return-path") and any(one.tried == one.packet for one in told)


def _remedies(window: Window, told: Sequence[Told]) -> tuple[str, ...]:
    """The smallest change of each group that denies, and rules that never get their turn."""
    by_rules = [one for one in told if one.answer.decision == "deny"]
    if not by_rules:
        return ("Look up the rule that the flow log names, and let the traffic in before it.",)
    sets, _ = window.cloud.security.before(by_rules[0].packet.dst)
    names = window.cloud.security.names
    forward = list(dict.fromkeys(one.tried for one in by_rules if one.tried == one.packet))
    back = list(dict.fromkeys(one.tried for one in by_rules if one.tried != one.packet))
    forgetful = [one for one in sets if not one.stateful]
    changes = [
        *(one.text for one in smallest_changes(sets, forward, names)),
        *(one.text for one in smallest_changes(forgetful, back, names, answers=True)),
    ]
    if not changes:
        changes = ["Let the traffic in with an allow that is tried before the rule named here."]
    deciding = {one.answer.rule for one in by_rules}
    late = [
        f"Rule {rule.name!r} ({rule.priority}) of {group.name} never gets its turn: {by.name!r} ({by.priority}) takes "
        f"everything it was made for."
        for group, rule, by in shadowed(sets)
        if by in deciding
    ]
    return (*changes, *late)


def _where(paths: pl.DataFrame) -> str:
    known = paths.filter(pl.col("where") != "unknown")
    return str((known if known.height else paths)["where"].value_counts(sort=True)["where"][0])


def _note(window: Window) -> Note:
    def note(event: dict[str, Any]) -> str | None:
        at = window.point_name(event["point"])
        return f"the member answers, seen at {at}" if event["kind"] == "syn-ack" else f"SYN at {at}"

    return note
