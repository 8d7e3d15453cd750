"""A member gets no new connections because its probes failed; or it gets them although they do.

What it flags
    A member that its probers had down while others of its pool were up, and the new connections of that time: none of
    them went to it, or some did. `since` is when it went down, `new_flows` how many connections it got while it was.

Why it matters
    "No traffic arrives" at such a member is no block: the balancer does as it was told, and the finding about the
    probes says why. A member that still gets connections is sent clients that it may fail.

Evidence
    The probes that took it down. The chance that a fair share had missed it in so many new connections is below 1 %
    (`likely` up to 10 %).

Look-alikes
    Few new connections miss a member by chance. Affinity keeps one client at one member. Established connections go on
    at a member that is down, as Azure documents it (`survived`); AWS resets them (`reset`). A pool that is down as a
    whole is `all-members-down`. When the balancer's thresholds are not known, the first three intervals after a failure
    say nothing.

Check next
    See the finding about the member's probes; it is back after the probes succeed.

Example
    $ cd captures/probe-blocked-before-member
    $ flowscope analyze . --topology topology.toml --select member-out-of-rotation
    F1  WARNING  be2 gets no new connections: its probes failed  [member-out-of-rotation, confirmed]
        From 03:14:20.339 UTC on 172.26.70.166:5000 was down for 4.2 s.

References
    Azure Load Balancer, load-balancer-custom-probe-overview (2023-10): one instance down, new flows go elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.probes.arrivals import arrivals
from flowscope.probes.compare import Group, Stretch, established, groups, without
from flowscope.probes.replay import Health
from flowscope.report.times import clock, rfc3339_text, span
from flowscope.rules.probe_evidence import LOST, cite, limited
from flowscope.window import Window

SEVERITY = Severity.WARNING

#: A fair share that misses a member as improbably as this did not miss it by chance.
_CHANCE = 0.01
#: With this chance it may have; that its probes failed says more than that.
_SLIM_CHANCE = 0.1
#: So many connections to a member that is down are more than a balancer that was late.
_STRAYS = 3


@dataclass(frozen=True, slots=True)
class _Seen:
    """What arrived while a member was down."""

    chance: float
    """That it got nothing by chance."""
    others: int
    """New connections that its siblings got."""
    siblings: int
    """How many of these got any."""
    strays: int
    """New connections that it got itself, though it was long down."""
    late: int
    """Those it got just after it went down."""


def judge(window: Window) -> Iterator[Finding]:
    """One finding per member that was down while others were up."""
    if not window.health:
        return
    came = arrivals(window)
    if not came.height:
        return
    done = set()
    for group in groups(window):
        if len(group.members) < 2:
            continue
        together = group.all_down()
        for member, port in group.members:
            apart = [part for stretch in group.down(member) for part in without(stretch, together)]
            if not apart or (member, port) in done:
                continue
            found = _compare(window, group, came, member, port, apart)
            if found is not None:
                done.add((member, port))
                yield found


def _compare(
    window: Window, group: Group, came: pl.DataFrame, member: int, port: int, apart: list[Stretch]
) -> Finding | None:
    healths = group.health[member]
    # A topology gives the thresholds; a guess may be off by a few probes.
    known = all(health.series.probe is not None for health in healths)
    grace = max(health.series.interval_ns for health in healths) * (1 if known else 3)
    schema = {"member": pl.UInt32, "port": pl.UInt16}
    ends = pl.DataFrame([end for end in group.members if end[0] >= 0], schema=schema, orient="row")
    pool = came.join(ends, ["member", "port"], how="semi")
    own = pl.col("member") == member
    seen = _arrived(pool, own, apart, grace, len(group.members))
    served_before = pool.filter(own, pl.col("at_ns") < apart[0][0]).height
    if seen.strays >= _STRAYS:
        if {health.series.by for health in healths} == {"shape"}:
            # Who is known by nothing but its pace, and is not heeded, is a monitor.
            return None
        return _finding(window, member, port, healths, apart, seen, gets=True, doubts=_stray_doubts(group, known))
    if seen.chance >= _SLIM_CHANCE or seen.strays:
        return None
    doubts = []
    if seen.chance >= _CHANCE:
        doubts.append(f"{seen.others:,} new connections may have missed it by chance ({seen.chance:.0%}).")
    if not served_before:
        doubts.append("It got no connection before, either: it may have been out for another reason.")
        if not any(
            place.first_ns <= apart[0][0] and place.last_ns + grace >= apart[-1][1]
            for place in window.points_on(member)
        ):
            doubts.append("No point at the member was captured all that time.")
    if seen.siblings < 2 and len(group.members) > 2:
        doubts.append("All others went to one member: affinity would look the same.")
    return _finding(window, member, port, healths, apart, seen, gets=False, doubts=doubts)


def _arrived(pool: pl.DataFrame, own: pl.Expr, apart: Sequence[Stretch], grace: int, members: int) -> _Seen:
    chance, others, strays, late = 1.0, 0, 0, 0
    siblings: set[int] = set()
    for start, end in apart:
        inside = pool.filter(pl.col("at_ns").is_between(start, end))
        mine = inside.filter(own)["at_ns"]
        late += mine.filter(mine <= start + grace).len()
        strays += mine.filter(mine > start + grace).len()
        last = int(str(mine.max())) if mine.len() else start
        missed = inside.filter(~own, pl.col("at_ns") > last)
        siblings |= set(missed["member"])
        others += missed.height
        chance *= (1 - 1 / members) ** missed.height
    return _Seen(chance, others, len(siblings), strays, late)


def _stray_doubts(group: Group, known: bool) -> list[str]:
    doubts = []
    if not known:
        doubts.append("The prober's thresholds are not known: the balancer may think otherwise of the member.")
    if not group.frontends:
        doubts.append("No frontend was seen: clients may call the member directly.")
    return doubts


def _because(window: Window, healths: Sequence[Health], since_ns: int) -> str:
    """Key of the finding about the probes; the index makes it that finding's id."""
    known = [(change, health) for health in healths for change in health.timeline if change.state == "down"]
    change, health = min(known, key=lambda one: abs(one[0].time_ns - since_ns))
    rule = "probe-blocked" if change.how in LOST else "probe-failing"
    return f"{rule} member={window.endpoint(health.series.member, health.series.port)}"


def _later_ns(health: Health, since_ns: int) -> int:
    """How much later the prober may have had it down, by settings that fit as well."""
    changes = [change for change in health.timeline if change.state == "down" and change.time_ns == since_ns]
    return max((change.latest_ns - since_ns for change in changes if change.latest_ns is not None), default=0)


def _finding(
    window: Window,
    member: int,
    port: int,
    healths: tuple[Health, ...],
    apart: list[Stretch],
    seen: _Seen,
    *,
    gets: bool,
    doubts: list[str],
) -> Finding:
    failed = pl.concat([health.failed for health in healths]).filter(
        # The probe that took it down, those before it that counted, and those that kept it down.
        pl.any_horizontal(
            pl.col("decided_ns").is_between(start - 3 * health.series.interval_ns, end)
            for start, end in apart
            for health in healths
        )
    )
    proof = cite(window, failed)
    caveats = list(doubts)
    verdict = limited(window, Verdict.LIKELY if doubts else Verdict.CONFIRMED, healths, caveats)
    if gets and doubts:
        verdict = Verdict.UNDECIDED
    grace = max(health.series.interval_ns for health in healths)
    went_on, reset = established(window, member, apart[0][0], grace)
    called, endpoint = window.called(member, port), window.endpoint(member, port)
    lasted = span(sum(end - start for start, end in apart))
    got = seen.strays + seen.late
    if gets:
        title = f"{called} gets new connections although its probes fail"
        summary = f"{endpoint} was down for {lasted}, others of its pool were up, and it got {got:,} new connections."
    else:
        title = f"{called} gets no new connections: its probes failed"
        summary = (
            f"From {clock(apart[0][0], True, 3)} UTC on {endpoint} was down for {lasted}. Its pool got {seen.others:,} "
            f"new connections in that time and none of them went to it: the balancer does as its probes say, and "
            f"nothing blocks the traffic."
        )
        later = max(_later_ns(health, apart[0][0]) for health in healths)
        if later:
            summary += (
                f" It may have gone down up to {span(later)} later: how many failures it takes is not known, but what "
                f"clients got bounds it."
            )
        if went_on:
            summary += f" {went_on:,} connections that it had went on."
        if reset:
            summary += f" {reset:,} connections that it had were reset then."
        if seen.late:
            summary += f" {seen.late:,} came just after it went down."
    return Finding(
        rule="member-out-of-rotation",
        severity=SEVERITY,
        verdict=verdict,
        title=title,
        summary=summary,
        subject={"member": endpoint},
        count=seen.others if not gets else got,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(failed["path"].unique(maintain_order=True)),
        facts={
            "since": rfc3339_text(apart[0][0]),
            "new_flows": got,
            "others": seen.others,
            "survived": went_on,
            "reset": reset,
            "because": _because(window, healths, apart[0][0]),
        },
        names=window.names([member]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=f"Its probes failed: {next((c.reason for c in healths[0].timeline if c.state == 'down'), '')}."
        if not gets
        else "The balancer does not act on these probes, or it keeps clients at the member (affinity).",
        remedy=("Mend what the finding about its probes names; the member comes back by itself.",)
        if not gets
        else ("Check that the frontend's rule uses this probe.", "Look for affinity in the frontend's rule."),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"tcpdump -ni any -s 0 -w member.pcap 'tcp and host {window.address(member)}'  (on {called})",
        references=("Azure: load-balancer-custom-probe-overview, 2023-10",),
    )
