"""Clients' SYNs to a frontend go unanswered.

What it flags
    SYNs to a frontend, repeats included, that got no answer and were not seen to go on to any member.

Why it matters
    To these clients the service is down, whatever its members do. A balancer drops SYNs like this when it has no
    healthy member, no rule for the packet, or no ports left, or when something before it swallows them.

Evidence
    The SYNs at the points before the balancer; the points behind it that were capturing at that time and saw none of
    them.

Look-alikes
    A member that drops what it is sent (`blocked-traffic`), a hairpin and an exhausted translator have findings of
    their own and take their paths from this one. Without a point behind the balancer a member may be the one that is
    silent (`likely`). When other calls of the same time were served, loss fits as well (`undecided`). A SYN younger
    than 3 seconds at the end of the capture is not judged.

Check next
    The balancer's view of its members' health at that time; a capture on both of its sides.

Example
    $ cd captures/probes-all-down-closed
    $ flowscope analyze . --topology topology.toml --select frontend-unanswered
    F1  ERROR  Calls to 203.0.113.172:80 go unanswered  [frontend-unanswered, confirmed]
        7 calls (28 SYNs, repeats included) of 1 client to 203.0.113.172:80 got no answer.

References
    Azure Load Balancer: with all members down, no new flow is accepted.
    RFC 9293, section 3.8.3: SYN retransmission.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.nat.numbers import address_numbers
from flowscope.nat.outcomes import SERVED
from flowscope.rules.evidence import prove, tcpdump_line
from flowscope.rules.silence import DEADLINE_NS
from flowscope.window import Window

SEVERITY = Severity.ERROR

#: So many copies of SYNs must have gone unanswered before silence is more than loss.
_ENOUGH_SYNS = 3
_FRONTEND = ["called", "called_port"]


def judge(window: Window) -> Iterator[Finding]:
    """One finding per frontend."""
    known = _frontends(window)
    lone = window.judgeable.filter(pl.col("outcome") == "unanswered", pl.col("legs").list.len() == 1)
    if not known.height or not lone.height:
        return
    ends = window.legs.select("leg", called="dst", called_port="dst_port")
    lone = lone.join(ends, left_on="first_leg", right_on="leg", maintain_order="left").join(
        known, _FRONTEND, how="semi"
    )
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
    syns = window.flows_of_legs(paths["first_leg"]).filter(pl.col("fwd_syns") > 0)
    ends = {point: place.last_ns for point, place in window.places.items()}
    syns = syns.filter(
        pl.col("at_ns") + DEADLINE_NS
        <= pl.col("point").replace_strict(ends, default=None, return_dtype=pl.Int64)
    )  # fmt: skip
    paths = paths.filter(pl.col("first_leg").is_in(syns["leg"].unique().implode()))
    if not paths.height:
        return None
    copies = int(syns.group_by("leg").agg(pl.col("fwd_syns").max())["fwd_syns"].sum())
    first, last = int(paths["first_ns"].min() or 0), int(paths["first_ns"].max() or 0)  # type: ignore[arg-type]
    to_it = window.judgeable.filter(pl.col("frontend") == frontend, pl.col("frontend_port") == port)
    served = to_it.filter(pl.col("outcome").is_in(SERVED))
    meanwhile = served.filter(pl.col("first_ns").is_between(first, last)).height
    behind = _behind(window, to_it, first, last)
    where = window.endpoint(frontend, port)
    caveats = []
    verdict = Verdict.CONFIRMED
    if not behind:
        verdict = Verdict.LIKELY
        caveats.append("No point behind the balancer was capturing: a member that stays silent would look the same.")
    if copies < _ENOUGH_SYNS or meanwhile >= paths.height:
        verdict = Verdict.UNDECIDED
        caveats.append(
            f"{meanwhile:,} other calls were served in the same time: loss before the balancer fits as well."
        )
    elif meanwhile and verdict is Verdict.CONFIRMED:
        verdict = Verdict.LIKELY
        caveats.append(f"{meanwhile:,} other calls were served in the same time, so the balancer answers some clients.")
    proof = prove(window, paths, ("syn",), lambda event: _note(window, event))
    clients = paths["client"].n_unique()
    summary = (
        f"{paths.height:,} calls ({copies:,} SYNs, repeats included) of {clients:,} client{'s' * (clients != 1)} to "
        f"{where} got no answer. "
    )
    if behind:
        summary += f"None of them was seen behind the balancer, at {', '.join(map(window.point_name, behind))}."
    return Finding(
        rule="frontend-unanswered",
        severity=SEVERITY,
        verdict=verdict,
        title=f"Calls to {where} go unanswered",
        summary=summary.strip(),
        subject={"frontend": where},
        count=paths.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"]),
        names=window.names([frontend]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="The balancer (or something before it) drops these SYNs: no healthy member, no rule, or no state left."
        if behind
        else "The balancer, something before it, or the member it chose does not answer.",
        remedy=(
            "Look at the health of the pool's members at that time: with none left many balancers drop new calls.",
            f"Check that a rule for {where} exists, and the security rules before it.",
        ),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"{tcpdump_line([window.address(frontend)], port, 'frontend.pcap')}  (before and behind the balancer)",
        references=("RFC 9293, section 3.8.3",),
    )


def _behind(window: Window, to_it: pl.DataFrame, first_ns: int, last_ns: int) -> list[int]:
    """Points that saw the members' side of this frontend's connections and were capturing at that time.

    A translator before the balancer makes legs of its own: these still call the frontend.
    """
    onward = to_it.filter(pl.col("backend").is_not_null(), pl.col("legs").list.len() > 1)
    if not onward.height:
        return []
    points = window.flows_of_legs(onward["last_leg"])["point"].unique().sort()
    alive = [window.places[point] for point in points if point in window.places]
    return [one.point for one in alive if one.first_ns <= first_ns and one.last_ns >= last_ns]


def _note(window: Window, event: dict[str, Any]) -> str | None:
    return f"SYN at {window.point_name(event['point'])}" if event["half"] == 0 else None
