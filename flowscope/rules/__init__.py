"""Paths become findings: one file per rule, its documentation in it; this index; folding last.

A rule is a module with ``SEVERITY`` and ``judge(window) -> Iterable[Finding]``. It reads the tables of a
:class:`~flowscope.window.Window` and knows no other rule; :mod:`flowscope.rules.folding` alone knows which rule
explains which.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from flowscope.findings import Finding
from flowscope.rules import (
    all_members_down,
    asymmetric_return,
    blocked_traffic,
    capture_loss,
    client_port_collision,
    clock_offset,
    closed_port,
    frontend_unanswered,
    hairpin_mismatch,
    half_flow,
    idle_timeout,
    member_out_of_rotation,
    mtu_blackhole,
    nsg_deny,
    path_loss,
    probe_blocked,
    probe_failing,
    snat_exhaustion,
    snat_port_collision,
    snat_pressure,
    truncated_packets,
    uneven_pool,
    unresponsive_service,
    untranslated_leak,
)
from flowscope.rules.dropped import weaken
from flowscope.rules.folding import fold
from flowscope.rules.time_order import doubt
from flowscope.settings import Settings
from flowscope.window import Window

RULES: dict[str, ModuleType] = {
    "nsg-deny": nsg_deny,
    "snat-exhaustion": snat_exhaustion,
    "snat-port-collision": snat_port_collision,
    "client-port-collision": client_port_collision,
    "hairpin-mismatch": hairpin_mismatch,
    "untranslated-leak": untranslated_leak,
    "asymmetric-return": asymmetric_return,
    "idle-timeout": idle_timeout,
    "closed-port": closed_port,
    "unresponsive-service": unresponsive_service,
    "mtu-blackhole": mtu_blackhole,
    "blocked-traffic": blocked_traffic,
    "snat-pressure": snat_pressure,
    "probe-blocked": probe_blocked,
    "probe-failing": probe_failing,
    "all-members-down": all_members_down,
    "member-out-of-rotation": member_out_of_rotation,
    "frontend-unanswered": frontend_unanswered,
    "half-flow": half_flow,
    "path-loss": path_loss,
    "capture-loss": capture_loss,
    "uneven-pool": uneven_pool,
    "clock-offset": clock_offset,
    "truncated-packets": truncated_packets,
}
"""Every rule by name."""


def judge(window: Window, settings: Settings) -> tuple[list[Finding], dict[str, int], list[str]]:
    """Runs the rules over a window.

    Returns:
        The findings, worst first, with ids; how many findings each rule that ran has; and one sentence for each rule
        that crashed: the others are delivered all the same.
    """
    found: list[Finding] = []
    judged: dict[str, int] = {}
    problems: list[str] = []
    for name, rule in RULES.items():
        if name in settings.ignore or (settings.select is not None and name not in settings.select):
            continue
        try:
            # Whole or not at all: of a rule that fails on the way nothing is told.
            found += list(rule.judge(window))
            judged[name] = 0
        except Exception as error:
            problems.append(
                f"rule {name} failed and was left out ({type(error).__name__}: {error}): please report this"
            )
    ordered = sorted(
        weaken(doubt(fold(found), window), window),
        key=lambda one: (one.severity.rank, one.verdict.rank, -one.count, one.key),
    )
    for one in ordered:
        judged[one.rule] += 1
    return _named(ordered), judged, problems


def _named(ordered: list[Finding]) -> list[Finding]:
    """Gives every finding its id; ``because`` names the finding that caused one by its key until then."""
    ids = {one.key: f"F{number}" for number, one in enumerate(ordered, 1)}
    named = []
    for number, one in enumerate(ordered, 1):
        facts = dict(one.facts)
        cause = ids.get(str(facts.pop("because", None)))
        if cause is not None:
            facts["because"] = cause
        named.append(replace(one, id=f"F{number}", facts=facts))
    return named
