"""Members get shares of the new connections that the balancer's dice do not explain.

What it flags
    Pools whose members' numbers of new connections differ so much that an even random choice would do so less than
    once in a million (chi-square test, at least 10 connections expected per member).

Why it matters
    One member carries the load of several, while others idle. Often it is by design; then it is still worth knowing.

Evidence
    The number of connections of each member; the first SYNs to the member with the largest share.

Look-alikes
    Random spread is no fault: 60 connections may well fall 26 to 11. Members that were not all in rotation the whole
    time have fewer connections for that reason: only the time in which every member got some, and none was down to its
    probers, is counted. A member that got none at all counts when a topology lists it and all its probes were good: it
    may be a backup or drained. Affinity by client address, few clients (or many behind one address) and configured
    weights give uneven shares by design, so the verdict is never `confirmed`. Probes and failed connections do
    not count as load, and are left out.

Check next
    The balancer's distribution mode (5-tuple or source address), weights, and how many clients there are.

Example
    $ cd captures/uneven-pool
    $ flowscope analyze . --topology topology.toml --select uneven-pool
    F1  INFO  Members of web get uneven shares  [uneven-pool, likely]
        78 new connections to 198.51.100.26:7080 fell on 3 members as vm3 64, vm1 8, vm2 6; 26 each would be
        even.

References
    Pearson's chi-square test; Cochran 1954 (numbers it needs); Wilson and Hilferty 1931 (its tail).
    Azure Load Balancer: distribution modes; count connections, not packets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.nat.numbers import address_numbers
from flowscope.nat.outcomes import SERVED
from flowscope.probes.arrivals import End
from flowscope.probes.compare import Group, groups
from flowscope.rules.evidence import prove
from flowscope.window import Window

SEVERITY = Severity.INFO

#: Below five the test's distribution is not that of chi-square (Cochran); twice as many to be far from it.
_EXPECTED_EACH = 10
_IMPROBABLE = 1e-6
#: Clients per member from which on affinity by client cannot explain an uneven spread by itself.
_MANY_CLIENTS = 10


def judge(window: Window) -> Iterator[Finding]:
    """One finding per frontend's pool."""
    opened = window.judgeable.filter(
        pl.col("frontend").is_not_null(),
        pl.col("backend").is_not_null(),
        pl.col("outcome").is_in([*SERVED, "half-open", "refused", "unanswered"]),
        ~pl.col("method").str.starts_with("proxy"),
    ).unique("first_leg", keep="first", maintain_order=True)
    if not opened.height:
        return
    # Once for all: there may be thousands of frontends.
    pools = {end: one for one in reversed(groups(window)) for end in one.frontends}
    for (frontend, port), paths in opened.group_by("frontend", "frontend_port", maintain_order=True):
        end = int(str(frontend)), int(str(port))
        found = _finding(window, paths, pools.get(end), *end)
        if found is not None:
            yield found


def _finding(window: Window, paths: pl.DataFrame, group: Group | None, frontend: int, port: int) -> Finding | None:
    members = _members(window, paths, frontend, port)
    seen = paths.join(members, ["backend", "backend_port"], how="semi")
    # A member that seldom gets one was in rotation for about one of its usual gaps before its first and after its last.
    gap = (pl.col("first_ns").max() - pl.col("first_ns").min()) // (pl.len() - 1).clip(1).cast(pl.Int64)
    spans = seen.group_by("backend", "backend_port").agg(
        from_ns=pl.col("first_ns").min() - gap, to_ns=pl.col("first_ns").max() + gap
    )
    # A member whose probes are all good, and that nobody was sent to, has a share as well; guesses know no such member.
    idle = _idle(group, set(seen.select("backend", "backend_port").iter_rows())) if group and group.name else {}
    if spans.height + len(idle) < 2:
        return None
    # A member that joins late or leaves early is short of connections for that reason.
    together = seen.filter(pl.col("first_ns").is_between(spans["from_ns"].max(), spans["to_ns"].min()))
    out = group.out() if group else []
    together = together.filter(~pl.any_horizontal(False, *(pl.col("first_ns").is_between(*one) for one in out)))
    # Nor can a member that nobody was sent to have had a share before it was up.
    together = together.filter(pl.col("first_ns") >= max(idle.values(), default=0))
    counts = together.group_by("backend", "backend_port").len().sort("len", "backend", descending=[True, False])
    total, reached = int(counts["len"].sum()), spans.height
    number = reached + len(idle)
    if total < _EXPECTED_EACH * number or counts.height < reached:
        return None
    counts = pl.concat([counts, pl.DataFrame([(*one, 0) for one in idle], schema=counts.schema, orient="row")])
    expected = total / number
    chi_square = sum((count - expected) ** 2 / expected for count in counts["len"])
    chance = tail(chi_square, number - 1)
    if chance >= _IMPROBABLE:
        return None
    clients = together["client"].n_unique()
    # Affinity sends a client to one member; a client that is spread over all of them is under none.
    spread = together.group_by("client").agg(pl.struct("backend", "backend_port").n_unique().alias("members"), pl.len())
    free = int(spread.filter(pl.col("members") == reached)["len"].sum())
    many = clients >= _MANY_CLIENTS * number or 2 * free >= total
    shares = ", ".join(
        f"{window.called(row['backend'], row['backend_port'])} {row['len']:,}" for row in counts.iter_rows(named=True)
    )  # fmt: skip
    known = window.topology.frontend_of(window.address(frontend), port)
    ends = [window.endpoint(*row) for row in counts.select("backend", "backend_port").sort("backend").iter_rows()]
    named = known is not None and known.pool is not None
    where = window.endpoint(frontend, port)
    pool = str(known.pool) if known is not None and named else where
    caveats = [
        "Configured weights or affinity give uneven shares by design."
        if many
        else f"Only {clients:,} clients: affinity by client address gives uneven shares by design."
    ]
    if idle:
        whom = ", ".join(window.called(address) for address, _ in idle)
        caveats.append(f"{whom} got none: a backup, a member that is drained or one of weight 0 looks the same.")
    busiest = together.join(counts.head(1), ["backend", "backend_port"], how="semi")
    proof = prove(window, busiest, ("syn",), lambda event: _note(window, event), each=2)
    return Finding(
        rule="uneven-pool",
        severity=SEVERITY,
        verdict=Verdict.LIKELY if many else Verdict.UNDECIDED,
        title=f"Members of {pool} get uneven shares",
        summary=(
            f"{total:,} new connections to {where} fell on {number} members as {shares}; {expected:,.0f} each would "
            f"be even. An even random choice does this less than once in {1 / max(chance, 1e-300):,.0e} times."
        ),
        subject={"pool": pool} if named else {"pool": pool, "members": ends},
        count=total,
        evidence=proof.evidence,
        flows=proof.flows,
        names=window.names([frontend, *counts["backend"]]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="The balancer does not choose evenly at random: affinity, weights, or a member that was out for a time.",
        remedy=(
            "With affinity by client address: use the 5-tuple, or expect shares by client.",
            "Look at the weights, and at the probes of the members with few connections.",
        ),
        caveats=tuple(caveats),
        next_capture=None
        if many
        else f"tcpdump -ni any -s 96 -w pool.pcap 'tcp port {port} and tcp[13] & 2 != 0'  (at the balancer)",
        references=("Azure Load Balancer: distribution modes", "Pearson's chi-square test"),
    )


def _members(window: Window, paths: pl.DataFrame, frontend: int, port: int) -> pl.DataFrame:
    """The members to expect: the pool's enabled ones, else those that the frontend's connections reached."""
    known = window.topology.frontend_of(window.address(frontend), port)
    reached = paths.select("backend", "backend_port").unique()
    if known is None or known.pool is None:
        return reached
    listed = [one for one in window.topology.members_of(known.pool) if one.enabled]
    number = address_numbers(window.addresses, (one.address for one in listed))
    ends = [(number[one.address], one.port) for one in listed if one.address in number]
    schema = {"backend": pl.UInt32, "backend_port": pl.UInt16}
    return reached.join(pl.DataFrame(ends, schema=schema, orient="row"), ["backend", "backend_port"], how="semi")


def _idle(group: Group, reached: set[End]) -> dict[End, int]:
    """Members that no connection went to, though every prober of them was content; and since when they are up."""
    found = {}
    for end in group.members:
        told = group.health.get(end[0], ())
        fine = [one.timeline[-1:] and one.timeline[-1].state == "up" and not one.failed.height for one in told]
        if end not in reached and fine and all(fine) and "shape" not in {one.series.by for one in told}:
            found[end] = max(one.timeline[-1].time_ns for one in told)
    return found


def tail(chi_square: float, freedom: int) -> float:
    """How often chance gives at least this chi-square value (Wilson and Hilferty's cube root)."""
    spread = 2 / (9 * freedom)
    deviation = ((chi_square / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(deviation / math.sqrt(2))


def _note(window: Window, event: dict[str, Any]) -> str | None:
    if event["half"] != 0:
        return None
    flow = window.flows.row(event["flow"], named=True)
    return f"SYN to {window.endpoint(flow['dst'], flow['dst_port'])} at {window.point_name(event['point'])}"
