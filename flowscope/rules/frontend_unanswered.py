"""Clients' SYNs to a frontend go unanswered, or are answered by an ICMP error.

What it flags
    SYNs to a frontend, repeats included, that got no answer (`how` = `silent`) or an ICMP unreachable (`icmp`) and were
    not seen to go on to any member.

Why it matters
    To these clients the service is down, whatever its members do. A balancer drops SYNs like this when it has no
    healthy member, no rule for the packet, or no ports left, or when something before it swallows them; a firewall or
    router that rejects says so by ICMP.

Evidence
    The SYNs at the points before the balancer, the ICMP errors; the points behind it that were capturing at that time
    and saw none of them.

Look-alikes
    A member that drops what it is sent (`blocked-traffic`), a hairpin and an exhausted translator have findings of
    their own and take their paths from this one. Without a point behind the balancer a member may be the one that
    is silent, or that rejects (`likely`). When other calls of the same time were served, loss fits as well
    (`undecided`), unless those that failed are all the calls of their clients, and a point behind the balancer
    shows that it sends none of them on (`likely`): loss does not choose by address. Many senders that never repeat
    their SYN are a flood or a scan, which balancers drop by design (`undecided`). A SYN younger than 3 seconds at
    the end of the capture is not judged.

Check next
    The balancer's view of its members' health at that time; a capture on both of its sides.

Example
    $ cd captures/probes-all-down-closed
    $ flowscope analyze . --topology topology.toml --select frontend-unanswered
    F1  ERROR  Calls to 203.0.113.172:80 go unanswered  [frontend-unanswered, confirmed]
        7 calls (28 SYNs, repeats included) of 1 client to 203.0.113.172:80 got no answer.

References
    Azure Load Balancer: with all members down, no new flow is accepted.
    RFC 9293, section 3.8.3: SYN retransmission. RFC 1122, section 3.2.2.1: destination unreachable.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.nat.numbers import address_numbers
from flowscope.nat.outcomes import SERVED
from flowscope.rules.behind import Behind, points_behind
from flowscope.rules.evidence import prove, tcpdump_line
from flowscope.rules.silence import DEADLINE_NS, ENOUGH_SYNS, never_repeated
from flowscope.window import Window

SEVERITY = Severity.ERROR

#: So many calls of one client, none of which was served, are no loss when everybody else is served.
_ENOUGH_CALLS = 3
_FRONTEND = ["called", "called_port"]


def judge(window: Window) -> Iterator[Finding]:
    """One finding per frontend."""
    known = _frontends(window)
    lone = window.judgeable.filter(pl.col("outcome").is_in(["unanswered", "rejected"]))
    if not known.height or not lone.height:
        return
    # Its last leg: a translator before the balancer changes the client's side only.
    ends = window.legs.select("leg", called="dst", called_port="dst_port")
    lone = lone.join(ends, left_on="last_leg", right_on="leg", maintain_order="left").join(known, _FRONTEND, how="semi")
    for (frontend, port), paths in lone.group_by(_FRONTEND, maintain_order=True):
        found = _finding(window, paths, int(str(frontend)), int(str(port)))
        if found is not None:
            yield found


def _frontends(window: Window) -> pl.DataFrame:
    """Endpoints known to be frontends, from the topology or from paths that went on to a member."""
    schema = {"called": pl.UInt32, "called_port": pl.UInt16}
    listed = [one for one in window.topology.frontends if one.protocol == "tcp"]
    number = address_numbers(window.addresses, (one.address for one in listed))
    given = [(number[one.address], one.port) for one in listed if one.address in number]
    moved = window.judgeable.filter(pl.col("frontend").is_not_null(), pl.col("backend").is_not_null())
    seen = list(moved.select("frontend", "frontend_port").unique().iter_rows())
    return pl.DataFrame(sorted({*given, *seen}), schema=schema, orient="row")


def _finding(window: Window, paths: pl.DataFrame, frontend: int, port: int) -> Finding | None:
    syns = window.flows_of_legs(paths["last_leg"]).filter(pl.col("fwd_syns") > 0)
    ends = {point: place.last_ns for point, place in window.places.items()}
    told = paths.filter(pl.col("outcome") == "rejected")
    # Where no answer was ever seen pass, one SYN alone may have been answered in whatever way.
    deaf = pl.col("point").is_in(list(window.one_way)) & (pl.col("fwd_syns") < ENOUGH_SYNS)
    syns = syns.filter(~deaf).filter(
        pl.col("leg").is_in(told["last_leg"].implode())
        | (
            pl.col("at_ns") + DEADLINE_NS
            <= pl.col("point").replace_strict(ends, default=None, return_dtype=pl.Int64)
        )
    )  # fmt: skip
    paths = paths.filter(pl.col("last_leg").is_in(syns["leg"].unique().implode()))
    if not paths.height:
        return None
    sent = syns.group_by("leg").agg(pl.col("fwd_syns").max())
    copies = int(sent["fwd_syns"].sum())
    first, last = int(paths["first_ns"].min() or 0), int(paths["first_ns"].max() or 0)  # type: ignore[arg-type]
    to_it = window.judgeable.filter(pl.col("frontend") == frontend, pl.col("frontend_port") == port)
    served = to_it.filter(pl.col("outcome").is_in(SERVED))
    meanwhile = served.filter(pl.col("first_ns").is_between(first, last)).height
    behind = points_behind(window, frontend, port, first, last)
    where = window.endpoint(frontend, port)
    whose = _shut_out(paths, served)
    verdict, caveats = _verdict(behind, copies, meanwhile, paths.height, whose, rejected=bool(told.height))
    if not told.height:
        each = paths.select("client", leg="last_leg").join(sent, "leg", maintain_order="left")
        if never := never_repeated(each["client"], each["fwd_syns"]):
            verdict, caveats = Verdict.UNDECIDED, [*caveats, never]
    kinds = ("syn", "icmp-error") if told.height else ("syn",)
    proof = prove(window, paths, kinds, lambda event: _note(window, event))
    clients = paths["client"].n_unique()
    of_whom = f"of {window.called(whose[0])} " if len(whose) == 1 else ""
    summary = (
        f"{paths.height:,} calls ({copies:,} SYNs, repeats included) of {clients:,} client{'s' * (clients != 1)} to "
        f"{where} got no answer. "
    )
    facts: dict[str, Fact] = {"how": "silent"}
    if told.height:
        sender, code = _rejection(window, told)
        facts = {"how": "icmp", "icmp_type": code // 256, "icmp_code": code % 256}
        summary += f"{told.height:,} of them met ICMP {code // 256}/{code % 256} from {sender}. "
    if behind.points:
        summary += f"None of them was seen behind the balancer, at {', '.join(map(window.point_name, behind.points))}. "
    if whose and meanwhile:
        summary += f"No call of {'this client' if clients == 1 else 'these clients'} was served, those of others were."
    return Finding(
        rule="frontend-unanswered",
        severity=SEVERITY,
        verdict=verdict,
        title=f"Calls {of_whom}to {where} {'are rejected' if told.height else 'go unanswered'}",
        summary=summary.strip(),
        subject={"frontend": where},
        count=paths.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"]),
        facts=facts,
        names=window.names([frontend]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=_cause(behind, bool(told.height), bool(whose and meanwhile)),
        remedy=(
            "Look at the health of the pool's members at that time: with none left many balancers drop new calls.",
            f"Check that a rule for {where} exists, and the security rules before it.",
        ),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"{tcpdump_line([window.address(frontend)], port, 'frontend.pcap')}  (before and behind the balancer)",
        references=("RFC 9293, section 3.8.3", *(("RFC 1122, section 3.2.2.1",) if told.height else ())),
    )


def _shut_out(paths: pl.DataFrame, served: pl.DataFrame) -> list[int]:
    """The clients of these calls when each made several and none of any of them was served, else none."""
    calls = paths.group_by("client").len()
    met = calls["client"].is_in(served["client"].unique().implode()).any()
    return [] if met or int(calls["len"].min() or 0) < _ENOUGH_CALLS else calls["client"].sort().to_list()  # type: ignore[arg-type]


def _verdict(
    behind: Behind, copies: int, meanwhile: int, calls: int, whose: list[int], *, rejected: bool
) -> tuple[Verdict, list[str]]:
    verdict, caveats = Verdict.CONFIRMED, []
    if not behind.points:
        verdict = Verdict.LIKELY
        caveats.append(
            "No point behind the balancer was capturing: a member that "
            f"{'rejects them' if rejected else 'stays silent'} would look the same."
        )
    if rejected:
        return verdict, caveats
    others = f"{meanwhile:,} other calls were served in the same time"
    if copies < ENOUGH_SYNS or (meanwhile >= calls and not (whose and behind.shared)):
        verdict = Verdict.UNDECIDED
        fits = "a block behind the balancer" if whose and meanwhile else "loss before the balancer"
        caveats.append(f"{others}: {fits} fits as well.")
    elif meanwhile and verdict is Verdict.CONFIRMED:
        verdict = Verdict.LIKELY
        caveats.append(f"{others}, so the balancer answers some clients.")
    return verdict, caveats


def _rejection(window: Window, told: pl.DataFrame) -> tuple[str, int]:
    """Who said so most often, and type * 256 + code."""
    legs = told["legs"].explode().unique()
    errors = window.events.filter(pl.col("leg").is_in(legs.implode()), pl.col("icmp").is_not_null())
    often = errors.group_by("peer", "icmp").len().sort("len", "peer", "icmp", descending=[True, False, False])
    return window.called(int(often["peer"][0])), int(often["icmp"][0])


def _cause(behind: Behind, rejected: bool, some: bool) -> str:
    if rejected:
        return "A rule of a firewall, or a route, on the way to the members rejects these calls and says so."
    if some:
        if behind.shared:
            return "Something before the balancer, or a rule of its own, drops what comes from these clients."
        return "Something before, in or behind the balancer drops what comes from these clients, or the answers to it."
    if behind.points and not behind.shared:
        return "The balancer, or something before it or between it and its members, drops these SYNs."
    if behind.points:
        return "The balancer (or something before it) drops these SYNs: no healthy member, no rule, or no state left."
    return "The balancer, something before it, or the member it chose does not answer."


def _note(window: Window, event: dict[str, Any]) -> str | None:
    at = window.point_name(event["point"])
    if event["kind"] == "icmp-error":
        return f"ICMP {event['icmp'] // 256}/{event['icmp'] % 256} from {window.address(event['peer'])}"
    return f"SYN at {at}" if event["half"] == 0 else None
