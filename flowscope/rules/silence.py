"""Connections to members that nobody answered, and how far each of them came.

Shared by the rules about blocked traffic: which points saw the SYN, which saw an answer, and what stands at the member.
"""

from __future__ import annotations

from collections import Counter

import polars as pl

from flowscope.findings import Verdict
from flowscope.nat.places import Place
from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

_SYN, _SYN_ACK = EVENT_KINDS.index("syn"), EVENT_KINDS.index("syn-ack")
#: Silence is judged only when the capture went on for so long after the first SYN (a Linux client has retried twice).
DEADLINE_NS = 3_000_000_000

#: So many copies of SYNs must have gone unanswered before silence is more than loss.
ENOUGH_SYNS = 3
#: So many senders that never repeat a SYN are no clients whose capture just lacks the repeats.
_MANY_SENDERS = 10
#: Ports of one host on which clients insist in vain; more are looked for, not served.
_MOST_PORTS = 10
#: For so long a client goes on sending its SYN although the answer was on its way.
_INSISTS_NS = 1_500_000_000
#: Who sends a SYN so often got no answer, seen or not.
_ASKED_OFTEN = 3

SCHEMA = {"where": pl.String, "how": pl.String, "sure": pl.Boolean, "syns": pl.Int64, "missed": pl.Boolean}
"""Columns that :func:`describe` adds."""


def describe(window: Window) -> pl.DataFrame:
    """Paths to a member without answer: ``judgeable`` columns plus :data:`SCHEMA`.

    ``where`` is where the SYN (or its answer) got lost, ``how`` is ``silent`` or ``icmp``, ``sure`` is false when the
    place of a point was guessed, ``syns`` counts SYN copies at the point that saw most. ``missed`` is false where only
    the client's repeats tell that an answer got lost, and no point that should have seen it.
    """
    candidates = window.judgeable.filter(
        pl.col("outcome").is_in(["unanswered", "rejected", "half-open"]), pl.col("backend").is_not_null()
    ).join(endpoints(window), ["backend", "backend_port"], how="semi")
    candidates = candidates.filter((pl.col("outcome") != "half-open") | _may_lack_answer(window, candidates))
    rows = []
    for row in candidates.iter_rows(named=True):
        flows = window.flows_of_legs(row["legs"])
        told = _placed(window, row["backend"], row["outcome"], flows)
        if told is not None:
            rows.append({**row, **dict(zip(SCHEMA, told, strict=True))})
    return pl.DataFrame(rows, schema={**window.judgeable.schema, **SCHEMA})


def endpoints(window: Window) -> pl.DataFrame:
    """Members, and what is taken for one: columns ``backend`` and ``backend_port``."""
    presumed = window.presumed_members
    unserved = Counter(host for (host, _), served in presumed.items() if not served)
    taken = {end for end, served in presumed.items() if served or unserved[end[0]] <= _MOST_PORTS}
    return pl.DataFrame(sorted({*window.members, *taken}), schema=window.members_frame.schema, orient="row")


def never_repeated(clients: pl.Series, copies: pl.Series) -> str:
    """One sentence when most of these SYNs came from many senders and were never sent again; else empty.

    Args:
        clients: who sent each.
        copies: how often each was sent while it could be seen.
    """
    once = clients.filter(copies == 1)
    if once.len() * 2 <= clients.len() or once.n_unique() < _MANY_SENDERS:
        return ""
    return (
        f"{once.len():,} of {clients.len():,} SYNs, of {once.n_unique():,} senders, were never sent again: a flood or "
        "a scan does so, clients that want an answer repeat theirs."
    )


def _may_lack_answer(window: Window, paths: pl.DataFrame) -> pl.Expr:
    """Whether a point saw the SYN without an answer, or saw it again: else nothing tells that the answer got lost."""
    flows = window.flows.lazy().filter(pl.col("leg").is_in(paths["legs"].explode().unique().implode()))
    lacking = flows.filter((pl.col("fwd_syns") > 1) | ((pl.col("fwd_syns") > 0) & (pl.col("rev_packets") == 0)))
    legs = lacking.select("leg").unique().collect()["leg"]
    return pl.col("legs").list.eval(pl.element().is_in(legs.implode())).list.any()


def _placed(window: Window, backend: int, outcome: str, flows: pl.DataFrame) -> tuple[str, str, bool, int, bool] | None:
    """The :data:`SCHEMA` columns of one path; None when it is no blocking, or too young to tell."""
    syns = flows.filter(pl.col("fwd_syns") > 0)
    if not syns.height or flows.filter(pl.col("src") == pl.col("dst")).height:
        return None
    most = int(syns["fwd_syns"].max() or 0)  # type: ignore[arg-type]
    if outcome == "rejected":
        where, sure = _rejected(window, backend, flows)
        return where, "icmp", sure, most, True
    started = int(syns["at_ns"].min() or 0)  # type: ignore[arg-type]
    # Where no answer was ever seen pass, one SYN alone may have been answered in whatever way.
    if most < _ASKED_OFTEN and outcome == "unanswered" and all(point in window.one_way for point in syns["point"]):
        return None
    ends = [window.places[point].last_ns for point in syns["point"].unique() if point in window.places]
    if max(ends, default=started) - started < DEADLINE_NS:
        return None
    home = [
        place for place in window.points_on(backend) if _alive(place, started) and place.point not in window.one_way
    ]
    if outcome == "half-open":
        sure = all(place.sure for place in home) and bool(home)
        if _answer_lost(flows):
            return "return-path", "silent", sure, most, True
        return ("return-path", "silent", sure, most, False) if _asked_again(window, flows) else None
    if not home:
        return "unknown", "silent", False, most, True
    reached = set(syns["point"])
    seen = [place for place in home if place.point in reached]
    if len(seen) == len(home):
        return "in-member", "silent", all(place.sure for place in home), most, True
    missed = [place for place in home if place.point not in reached]
    return "before-member", "silent", any(place.sure for place in missed), most, True


def _alive(place: Place, time_ns: int) -> bool:
    return place.first_ns <= time_ns + DEADLINE_NS and time_ns <= place.last_ns + DEADLINE_NS


def _answer_lost(flows: pl.DataFrame) -> bool:
    """True when a point upstream saw the SYN but not the SYN-ACK seen elsewhere, and the client did not reject it."""
    answered = flows.filter(pl.col("rev_syns") > 0)
    waiting = flows.filter(pl.col("fwd_syns") > 0, pl.col("rev_packets") == 0)
    if not answered.height or not waiting.height or int(answered["fwd_resets"].sum()) > 0:
        return False
    # Upstream is where the SYN's TTL is higher, or the same and seen earlier.
    nearest = answered.sort(["fwd_syn_ttl", "at_ns"], descending=[True, False], nulls_last=True).row(0, named=True)
    ttl = pl.col("fwd_syn_ttl")
    if nearest["fwd_syn_ttl"] is None:
        return True
    earlier = (ttl == nearest["fwd_syn_ttl"]) & (pl.col("at_ns") < nearest["at_ns"])
    return waiting.filter((ttl > nearest["fwd_syn_ttl"]) | earlier).height > 0


def _asked_again(window: Window, flows: pl.DataFrame) -> bool:
    """True when the client went on sending its SYN long after a SYN-ACK for it had passed the same point."""
    waiting = flows.filter(
        pl.col("rev_syns") > 0,
        pl.col("fwd_last_ack").is_null(),
        pl.col("fwd_resets") == 0,
        (pl.col("rev_last_ack").cast(pl.Int64) - pl.col("fwd_isn").cast(pl.Int64)) % 2**32 == 1,
    )["flow"]
    seen = window.events.filter(pl.col("flow").is_in(waiting.implode()))
    answers = seen.filter(pl.col("kind") == _SYN_ACK).group_by("flow").agg(answer_ns=pl.col("at_ns").min())
    again = seen.filter(pl.col("kind") == _SYN).join(answers, "flow").filter(
        pl.col("at_ns") - pl.col("answer_ns") >= _INSISTS_NS
    )  # fmt: skip
    return again.height > 0


def _rejected(window: Window, backend: int, flows: pl.DataFrame) -> tuple[str, bool]:
    errors = window.events.filter(pl.col("flow").is_in(flows["flow"].implode()), pl.col("peer").is_not_null())
    if (errors["peer"] == backend).any():
        return "in-member", True
    home = window.points_on(backend)
    reached = set(flows.filter(pl.col("fwd_syns") > 0)["point"])
    if home and not any(place.point in reached for place in home):
        return "before-member", any(place.sure for place in home)
    return "unknown", False


def presumed_at_most(window: Window, paths: pl.DataFrame) -> tuple[Verdict, str] | None:
    """What may be said at most where no frontend was captured, and why."""
    presumed = [
        window.presumed_members.get(end) for end in paths.select("backend", "backend_port").unique().iter_rows()
    ]
    if None in presumed:
        return None
    if all(presumed):
        return Verdict.LIKELY, "No frontend was captured: that this port is the balancer's is taken from its probes."
    return Verdict.UNDECIDED, (
        "No frontend was captured and no member serves this port: a port that the balancer sends nobody to looks the "
        "same. A topology (`--topology`) decides it."
    )
