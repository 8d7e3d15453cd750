"""Probes get lost: they never reach the member, or nothing of it answers.

What it flags
    Probes of a member whose SYN, repeats included, got no answer, or an ICMP error. `where` says between which points
    they got lost: `before-member`, `in-member` (they reach it, and it sends nothing), `return-path` (the member
    answers, the answer gets lost), `unknown`. Also probes that stop arriving at a member while the same prober goes on
    asking others (`undecided`: a member that was taken out of the pool looks the same), and members that a topology has
    probed and of which none was captured (`undecided`; of a whole pool only for information: a capture filter does it).

Why it matters
    The balancer takes the member out of rotation, though it may serve clients well. A security group that does not let
    the prober in is part of cause 2 of the Azure Load Balancer guide: 168.63.129.16 must be allowed, in the network's
    rules and in the guest's firewall.

Evidence
    The unanswered SYNs at each point that saw them, and the point at the member that did not.

Look-alikes
    A full accept queue on the probed port drops SYNs in the same way (`in-member` is `likely` only). A capture that
    leaves the probes out, by a filter or by loss, looks like a drop before that point. A host that is down answers
    nothing (`unknown` is `likely` at most, and only when others answer the same prober). A capture of one direction
    shows no answer to anything. The end of a capture is no missing probe. A capture at the member that is silent all
    the while may not have been running (`likely`, and only next to its frames). A lost probe to an address that several
    members hold is the one's that lacks it.

Check next
    Capture at the member: no incoming probe means a security group or a route; incoming and no answer means the guest.

Example
    $ cd captures/probe-blocked-before-member
    $ flowscope analyze . --topology topology.toml --select probe-blocked
    F1  ERROR  Probes of be2 on port 8000 are blocked  [probe-blocked, likely]
        10 of 11 probes of 168.63.129.16 to 172.26.70.166:8000 got lost before they reached it.

References
    Azure Load Balancer troubleshooting (2020-01-28): a network security group blocks 168.63.129.16.
    Azure, load-balancer-troubleshoot-health-probe-status (2020-12): the decision table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.probes.replay import Health
from flowscope.rules.evidence import prove, tcpdump_line
from flowscope.rules.probe_absence import Absence, absences
from flowscope.rules.probe_contrast import takes_others
from flowscope.rules.probe_evidence import (
    LOST,
    all_of_them,
    cite,
    down_since,
    limited,
    longest_run,
    scattered,
    served_meanwhile,
    severity,
    sources,
)
from flowscope.rules.probe_places import lost_at
from flowscope.rules.probe_stops import Stop, stops
from flowscope.rules.probe_subject import Probed, askers, by_member, for_path, held_address, home, target
from flowscope.rules.security_answers import explained_probe
from flowscope.window import Window

SEVERITY = Severity.ERROR

#: One unanswered probe is loss; so many in a row are more.
_RUN = 2
_ENOUGH_IN_A_ROW = 3


def judge(window: Window) -> Iterator[Finding]:
    """One finding per probed endpoint."""
    for probed, healths in by_member(window).items():
        failed = pl.concat([health.failed for health in healths]).filter(pl.col("how").is_in(LOST))
        if longest_run(healths, LOST) >= _RUN or all_of_them(healths, LOST) >= _ENOUGH_IN_A_ROW:
            yield _finding(window, probed, healths, failed)
            continue
        ended = [stop for health in healths if (stop := stops(window, health)) is not None]
        if ended and len(ended) == len(healths):
            yield _stopped(window, probed, ended)
    for absence in absences(window):
        yield _absent(window, absence)


def _absent(window: Window, absence: Absence) -> Finding:
    """None came in all the time: blocked, not sent, or left out of the capture."""
    proof = prove(window, absence.paths.head(3), ("syn", "data"), lambda event: _elsewhere(window, event))
    endpoint, called = window.endpoint(absence.member, absence.port), window.called(absence.member, absence.port)
    source = ", ".join(map(str, absence.pool.probe.source)) if absence.pool.probe else ""
    others = "others of the pool are probed" if absence.others else "no member of the pool is"
    return Finding(
        rule="probe-blocked",
        severity=SEVERITY if absence.others else Severity.INFO,
        verdict=Verdict.UNDECIDED,
        title=f"No probe of {called} was captured",
        summary=f"{absence.missing:,} probes of {endpoint} were due in that time, and none was seen; {others}.",
        subject={"member": endpoint},
        count=absence.missing,
        evidence=proof.evidence,
        flows=proof.flows,
        facts={"where": "unknown", "how": "silent", "failed": absence.missing},
        names=window.names([absence.member]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="Something before the member drops them, or they are not sent, or the capture has left them out.",
        remedy=_remedies("before-member", called, absence.port, source or "the prober"),
        caveats=(
            "A capture filter that leaves the probes out looks the same.",
            "So does a prober that asks from another address or at another port than the topology says."
            if not absence.others
            else "A member that was taken out of the pool is not probed, and looks the same from here.",
        ),
        next_capture=f"{tcpdump_line([window.address(absence.member)], absence.port, 'probes.pcap')}  (on {called})",
        references=("Azure: load-balancer-troubleshoot-health-probe-status, 2020-12",),
    )


def _elsewhere(window: Window, event: dict[str, Any]) -> str | None:
    return f"other traffic at {window.point_name(event['point'])}: no probe was captured there"


def _stopped(window: Window, probed: Probed, ended: Sequence[Stop]) -> Finding:
    """They come no more, and only the member was captured: whether they are still sent cannot be seen there."""
    port, healths = probed.port, [stop.health for stop in ended]
    last = pl.concat([health.readings.tail(1) for health in healths])
    proof = cite(window, last)
    endpoint, called, asking = probed.endpoint(window), probed.called(window), sources(window, healths)
    missing = sum(stop.missing for stop in ended)
    return Finding(
        rule="probe-blocked",
        severity=severity(healths),
        verdict=Verdict.UNDECIDED,
        title=f"Probes of {called} on port {port} stop arriving",
        summary=f"{asking} goes on probing others, and {missing:,} probes of {endpoint} that were due did not arrive.",
        subject=probed.subject(window),
        count=missing,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(last["path"].unique(maintain_order=True)),
        facts={"where": "before-member", "how": "silent", "failed": missing},
        names=window.names([probed.member]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=_CAUSES["before-member"],
        remedy=_remedies("before-member", called, port, asking),
        caveats=("A member that was taken out of the pool is not probed any more, and looks the same from here.",),
        next_capture=f"{tcpdump_line([target(window, healths)], port, 'probes.pcap')}  (on the hop before {called})",
        references=("Azure: load-balancer-troubleshoot-health-probe-status, 2020-12",),
    )


def _finding(window: Window, probed: Probed, healths: Sequence[Health], failed: pl.DataFrame) -> Finding:
    member, port = probed.member, probed.port
    placed = lost_at(window, member, failed)
    known = placed.filter(pl.col("where") != "unknown")
    listened = known.filter("listened")
    known = listened if listened.height else known
    where = str((known if known.height else placed)["where"].mode().sort()[0])
    proof = cite(window, failed)
    caveats: list[str] = []
    verdict = _verdict(window, probed, where, placed, failed, healths, caveats)
    verdict = limited(window, verdict, healths, caveats)
    lost = [health for health in healths if health.failed["how"].is_in(list(LOST)).any()]
    endpoint, called, asking = probed.endpoint(window), probed.called(window), sources(window, lost)
    sent = sum(health.sent for health in lost)
    place = "were rejected with ICMP" if (failed["how"] == "rejected").all() else _PLACES[where]
    summary = f"{failed.height:,} of {sent:,} probes of {asking}{for_path(lost)} to {endpoint} {place}."
    if known.height and not listened.height:
        caveats.append(
            f"The capture at {called} has frames shortly before or after the lost probes, and none meanwhile: it may "
            f"not have been running."
        )
        verdict = max(verdict, Verdict.LIKELY, key=lambda one: one.rank)
    elif 0 < known.height < failed.height:
        caveats.append(f"Where was seen of {known.height:,}; of the others no point at the member saw the time.")
        verdict = max(verdict, Verdict.LIKELY if known.height < _RUN else verdict, key=lambda one: one.rank)
    summary += held_address(window, lost)
    served = served_meanwhile(window, probed, failed)
    if served:
        summary += f" Clients were served meanwhile ({served:,} connections): the member is up, only its probes fail."
    if fine := [health for health in healths if health not in lost and health.succeeded]:
        summary += f" Probes of {askers(window, fine)} were answered."
    summary += explained_probe(window, window.address(healths[0].series.source), member, port)
    facts: dict[str, Fact] = {"where": where, "how": "silent", "failed": failed.height, "sent": sent}
    errors = window.events.filter(pl.col("flow").is_in(list(proof.flows)), pl.col("icmp").is_not_null())
    if errors.height:
        code = int(errors["icmp"].mode().sort()[0])
        facts |= {"how": "icmp", "icmp_type": code // 256, "icmp_code": code % 256}
    if since := down_since(healths):
        facts["since"] = since
    host = target(window, healths)
    return Finding(
        rule="probe-blocked",
        severity=severity(healths),
        verdict=verdict,
        title=f"Probes of {called} on port {port} " + ("get no answer" if where == "unknown" else "are blocked"),
        summary=summary,
        subject=probed.subject(window),
        count=failed.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(failed["path"].unique(maintain_order=True)),
        facts=facts,
        names=window.names([probed.member]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=_CAUSES[where],
        remedy=_remedies(where, called, port, asking),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"{tcpdump_line([host], port, 'probes.pcap')}  (on {called} and on the hop before it)",
        references=("Azure Load Balancer troubleshooting, 2020-01-28: cause 2",),
    )


_PLACES = {
    "before-member": "got lost before they reached it",
    "in-member": "reached it and got no answer",
    "return-path": "were answered, but the answer got lost on the way back",
    "unknown": "got no answer",
}
_CAUSES = {
    "before-member": "Something between the balancer and the member drops the prober's packets: a security group, a "
    "firewall or a route.",
    "in-member": "The member's own firewall drops the prober's packets, or the queue of the probed port is full.",
    "return-path": "The member's answers to the prober are dropped, or routed another way.",
    "unknown": "The captures do not show where the probes get lost.",
}


def _remedies(where: str, called: str, port: int, asking: str) -> tuple[str, ...]:
    if where == "in-member":
        return (
            f"On {called}: let {asking} in on port {port} (`nft list ruleset`, `iptables -S`, Windows Firewall).",
            "Check the listener's queue: `ss -ltn` shows Recv-Q against Send-Q.",
        )
    if where == "return-path":
        return (
            f"On {called}: does the answer to {asking} leave by the interface the probe came in on? `ip route get`.",
        )
    return (
        f"List the security rules by priority: one before the defaults must not deny {asking} on port {port}.",
        "On Azure the default rule AllowAzureLoadBalancerInBound lets probes in; a custom deny above it stops them.",
    )


def _verdict(
    window: Window,
    probed: Probed,
    where: str,
    placed: pl.DataFrame,
    failed: pl.DataFrame,
    healths: Sequence[Health],
    caveats: list[str],
) -> Verdict:
    if longest_run(healths, LOST) < _ENOUGH_IN_A_ROW:
        caveats.append("Never three in a row were lost: loss on the way looks the same.")
        return Verdict.UNDECIDED
    if scattered(healths, LOST):
        caveats.append("Probes between the lost ones were answered, here and there: loss on the way looks the same.")
        return Verdict.UNDECIDED
    if where == "unknown":
        caveats.append("No point at the member was captured, or none is known as such: a member that is down looks so.")
        return Verdict.LIKELY if _others_answer(window, healths, failed) else Verdict.UNDECIDED
    if not bool(placed.filter(pl.col("where") == where)["sure"].all()):
        caveats.append("Where the points stand was inferred: the drop may lie between the point and the host.")
        return Verdict.LIKELY
    if where == "in-member" and not (placed["how"] == "rejected").all() and not takes_others(window, probed, failed):
        caveats.append("A service whose accept queue is full drops SYNs in the same way.")
        return Verdict.LIKELY
    if where == "before-member" and not _sees_port(window, healths):
        caveats.append("A capture filter at the member that leaves the probes out would look the same.")
        return Verdict.LIKELY
    return Verdict.CONFIRMED


def _others_answer(window: Window, healths: Sequence[Health], failed: pl.DataFrame) -> bool:
    """True when the same prober was answered by others meanwhile: it is well, and heard in both directions."""
    asking = {health.series.source for health in healths}
    own = {(health.series.member, health.series.host) for health in healths}
    others = [one for one in window.health if one.series.source in asking]
    others = [one for one in others if (one.series.member, one.series.host) not in own]
    meanwhile = pl.col("sent_ns").is_between(failed["sent_ns"].min(), failed["sent_ns"].max())
    return any(one.readings.filter(meanwhile, pl.col("result") == "good").height for one in others)


def _sees_port(window: Window, healths: Sequence[Health]) -> bool:
    """True when a point at the member saw other traffic of the probed port: no filter hides it there."""
    for one in (health.series for health in healths):
        points = [place.point for place in home(window, one.member, one.asked, one.host)]
        here = window.flows.filter(pl.col("point").is_in(points), pl.col("dst_port") == one.port)
        if here.filter(pl.col("dst").is_in([one.member, one.asked])).height:
            return True
    return False
