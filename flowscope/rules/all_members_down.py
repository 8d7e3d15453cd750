"""Every member of a pool failed its probes at once.

What it flags
    A stretch of time in which the probers had every enabled member of a pool down. `then` says what the balancer did
    about new connections: `fail-closed` (clients' SYNs stay unanswered until a member is back) or `fail-open` (all
    members are used, as if all were up).

Why it matters
    Fail closed is an outage. Fail open hides one: clients are sent to members that fail their probes, and the fault
    that all of them share (a missing path, a firewall rule, a dependency) goes unnoticed. Members that get no traffic
    in such a stretch have no fault of their own.

Evidence
    A failed probe of each member in that stretch; clients' SYNs to the frontend and what became of them.

Look-alikes
    A prober that cannot reach anyone is down itself, or its own path is: probes of all members get lost in one place.
    Members of which the captures hold no probe may be up: then nothing is said, nor, without a topology, where clients
    were served by others than these.

Check next
    What do the members share? Ask the probed path on one of them.

Example
    $ cd captures/probes-all-down-closed
    $ flowscope analyze . --topology topology.toml --select all-members-down
    F1  ERROR  Every member of web is down: fail closed  [all-members-down, confirmed]
        For 4.1 s all 3 members of web failed their probes at once.

References
    Azure Front Door health probes (2018-09-10): when all members fail, all count as healthy and are used in turn.
    Azure Load Balancer, load-balancer-custom-probe-overview (2023-10): all instances down, no new flows.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.nat.outcomes import PROXIED, SERVED
from flowscope.probes.arrivals import RETRIED_NS, arrivals, called
from flowscope.probes.compare import Group, Stretch, groups
from flowscope.probes.policies import FAILS_OPEN
from flowscope.probes.replay import Health
from flowscope.report.times import rfc3339_text, span
from flowscope.rules.probe_evidence import cite, limited, severity
from flowscope.window import Window

SEVERITY = Severity.ERROR

#: Connections whose way to their member was lost to the capture are no more than this.
_FEW = 0.1


def judge(window: Window) -> Iterator[Finding]:
    """One finding per pool, or per frontend without a topology."""
    if not window.health:
        return
    for group in groups(window):
        told = [health for healths in group.health.values() for health in healths]
        stretches = group.all_down()
        if group.name is None and told:
            # The thresholds are guessed: a moment in which all happen to be down may be none to the balancer.
            shortest = max(health.series.interval_ns for health in told)
            stretches = [(start, end) for start, end in stretches if end - start >= shortest]
            if _served_elsewhere(window, group):
                continue
        if stretches and group.members:
            yield _finding(window, group, told, stretches)


def _finding(window: Window, group: Group, told: list[Health], stretches: list[Stretch]) -> Finding:
    calls = called(window, group.frontends)
    unanswered, served = _fate(calls, stretches, max(health.series.interval_ns for health in told))
    own = _answered_itself(window, group, calls, stretches)
    policies = {FAILS_OPEN.get(health.series.policy) for health in told}
    caveats: list[str] = []
    then = None
    seen = unanswered + served + own
    if seen:
        then = "fail-closed" if unanswered + own >= served else "fail-open"
    elif group.name is not None and len(policies) == 1 and None not in policies:
        then = "fail-open" if policies.pop() else "fail-closed"
    verdict = Verdict.CONFIRMED
    if not seen:
        verdict = Verdict.LIKELY
        caveats.append("No client called in that time: what the balancer did about it was not seen.")
    elif unanswered and served:
        verdict = Verdict.LIKELY
        caveats.append(
            f"{served:,} connections were served and {unanswered:,} were not: the balancer's own times differ."
        )
    verdict = limited(window, verdict, told, caveats)
    failed = pl.concat([health.failed for health in told])
    inside = pl.any_horizontal(pl.col("decided_ns").is_between(start, end) for start, end in stretches)
    failed = failed.filter(inside | pl.col("decided_ns").is_in([start for start, _ in stretches]))
    each = failed.sort("decided_ns").unique("member", keep="first", maintain_order=True)
    proof = cite(window, each, examples=4)
    start = min(one[0] for one in stretches)
    lasted = sum(end - begin for begin, end in stretches)
    members = [window.endpoint(address, port) for address, port in group.members]
    fronts = [window.endpoint(address, port) for address, port in group.frontends]
    name = group.name or fronts[0]
    fates = [f"{unanswered:,} connections to it got no answer while that lasted"] if unanswered else []
    fates += [f"it answered {own:,} connections itself"] if own else []
    fate = {
        "fail-closed": f"The balancer forwarded nothing: {' and '.join(fates)}.",
        "fail-open": f"The balancer went on with all members: {served:,} connections were served.",
    }.get(then or "", "")
    if not seen:
        fate = ""
    facts: dict[str, Fact] = {"since": rfc3339_text(start), "lasted_s": round(lasted / 1e9, 3)}
    if then is not None:
        facts["then"] = then
    facts |= {"unanswered": unanswered, "served": served}
    if own:
        facts["answered_itself"] = own
    several = len(members) > 1
    whose = f"all {len(members):,} members of {name}" if several else f"the only member of {name}"
    subject: dict[str, str | list[str]] = {"pool": name}
    if group.name is None:
        subject["members"] = members
    return Finding(
        rule="all-members-down",
        severity=severity(told),
        verdict=verdict,
        title=f"Every member of {name} is down" + (f": {then.replace('-', ' ')}" if then and seen else ""),
        summary=(
            f"For {span(lasted)} {whose} failed {'their probes at once' if several else 'its probes'}. {fate}"
        ).strip(),
        subject=subject,
        count=failed.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(failed["path"].unique(maintain_order=True)),
        facts=facts,
        names=window.names([address for address, _ in (*group.members, *group.frontends)]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="What all members share failed, or the probes themselves do: path, port, prober's address.",
        remedy=(
            "See the probes' own findings for how each member fails.",
            "Compare the probed path, port and protocol with what the members serve; look for a change at that time.",
        ),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else "tcpdump -ni any -s 0 -w frontend.pcap 'tcp'  (before the balancer, while all members are down)",
        references=(
            "Azure Front Door health probes, 2018-09-10",
            "Azure: load-balancer-custom-probe-overview, 2023-10",
        ),
    )


def _served_elsewhere(window: Window, group: Group) -> bool:
    """Whether clients were served by members that were not captured: then these are not all."""
    calls = called(window, group.frontends).filter(pl.col("outcome").is_in(SERVED))
    unseen = calls.filter(pl.col("at_ns").is_null())
    proxied = window.judgeable.filter(pl.col("method").is_in(PROXIED)).select("frontend", "frontend_port").unique()
    # A proxy answers calls itself.
    return not set(proxied.iter_rows()).intersection(group.frontends) and unseen.height > _FEW * calls.height


def _fate(calls: pl.DataFrame, stretches: list[Stretch], interval_ns: int) -> tuple[int, int]:
    """Connections to the frontend in that time that no member got, and those that one got."""
    unanswered = served = 0
    for start, end in stretches:
        # The balancer needs a moment to act, and knows a recovery before the replay when its thresholds differ.
        grace = min(interval_ns, (end - start) // 4)
        inside = calls.filter(pl.col("asked_ns").is_between(start + grace, end))
        came = pl.col("at_ns").is_between(start + grace, end).fill_null(value=False)
        # What was asked shortly before the end and sent on at once was held back by nobody.
        held = (pl.col("at_ns") > end) & (pl.col("at_ns") - pl.col("asked_ns") > RETRIED_NS)
        failed = (pl.col("outcome") == "unanswered") | held.fill_null(value=False)
        served += inside.filter(came, pl.col("outcome") != "unanswered").height
        unanswered += inside.filter(failed).height
    return unanswered, served


def _answered_itself(window: Window, group: Group, calls: pl.DataFrame, stretches: list[Stretch]) -> int:
    """Connections of that time that a proxy accepted, and for which it called no member."""
    proxied = window.judgeable.filter(pl.col("method").is_in(PROXIED))
    fronts = set(proxied.select("frontend", "frontend_port").unique().iter_rows())
    if not fronts.intersection(group.frontends):
        return 0
    came = arrivals(window).filter(pl.col("member").is_in([address for address, _ in group.members]))
    found = 0
    for start, end in stretches:
        until = came.filter(pl.col("at_ns").is_between(start, end))["at_ns"].max()
        # A connection to a member that nothing joined may be any of theirs, so only what follows the last is sure.
        own = calls.filter(pl.col("outcome").is_in(SERVED), pl.col("at_ns").is_null())
        found += own.filter(pl.col("asked_ns").is_between(until or start, end)).height
    return found
