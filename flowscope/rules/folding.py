"""Which rule explains which: a path is blamed on its nearest cause only."""

from __future__ import annotations

from dataclasses import replace

from flowscope.findings import Finding, Verdict

#: Nearest cause first (the contract's order); what any of them explains is no loss and no missing half.
NEARNESS: tuple[str, ...] = (
    "nsg-deny",
    "snat-exhaustion",
    "snat-port-collision",
    "client-port-collision",
    "hairpin-mismatch",
    "untranslated-leak",
    "asymmetric-return",
    "idle-timeout",
    "closed-port",
    "unresponsive-service",
    "mtu-blackhole",
    "blocked-traffic",
    "frontend-unanswered",
    "half-flow",
    "path-loss",
)

#: Rules about points: several points may see the same path badly.
_SHARING = ("half-flow", "path-loss")


def fold(findings: list[Finding]) -> list[Finding]:
    """Takes paths away from findings whose rule is farther from the cause.

    A finding that keeps no path is dropped, and its rule is named in ``folded`` of the one that explains it. Findings
    without paths (about points, captures) stay as they are.
    """
    rank = {name: at for at, name in enumerate(NEARNESS)}
    ordered = sorted(findings, key=lambda one: (rank.get(one.rule, len(rank)), one.verdict.rank))
    owner: dict[int, int] = {}
    kept: list[Finding] = []
    for finding in ordered:
        if not finding.paths or finding.rule not in rank:
            kept.append(finding)
            continue
        # Paths of another rule about members may stand in two of its findings only by mistake; the first keeps them.
        sharing = finding.rule in _SHARING
        own = tuple(
            path for path in finding.paths if path not in owner or (sharing and kept[owner[path]].rule == finding.rule)
        )
        if not own:
            nearest = owner[finding.paths[0]]
            cause = kept[nearest]
            if finding.rule != cause.rule and finding.rule not in cause.folded:
                kept[nearest] = replace(cause, folded=(*cause.folded, finding.rule))
            continue
        owner.update((path, len(kept)) for path in own)
        kept.append(finding if len(own) == len(finding.paths) else replace(finding, paths=own, count=len(own)))
    return _caused(kept)


def _caused(findings: list[Finding]) -> list[Finding]:
    """Probes that do not arrive because a rule denies them are still down; the finding about them names its cause."""
    denied = {
        str(one.subject.get("member")): one.key
        for one in findings
        if one.rule == "nsg-deny" and one.verdict is not Verdict.UNDECIDED
    }
    return [
        replace(one, facts={**one.facts, "because": denied[member]})
        if one.rule == "probe-blocked" and (member := str(one.subject.get("member"))) in denied
        else one
        for one in findings
    ]
