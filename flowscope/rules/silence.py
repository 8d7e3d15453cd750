"""Connections to members that nobody answered, and how far each of them came.

Shared by the rules about blocked traffic: which points saw the SYN, which saw an answer, and what stands at the member.
"""

from __future__ import annotations

from collections import Counter

import polars as pl

from flowscope.findings import Verdict
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

_UNKNOWN = pl.lit("unknown")

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
    seen = _seen(window, candidates)
    asked = _asked(seen)
    homes = _homes(window, asked, seen)
    told = [_rejected(window, asked, seen, homes), _half_open(window, asked, seen, homes), _unanswered(asked, homes)]
    rows = candidates.join(pl.concat(told), "path", maintain_order="left")
    return rows.select(*candidates.columns, *SCHEMA)


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


def _seen(window: Window, candidates: pl.DataFrame) -> pl.DataFrame:
    """What each point saw of these paths: a row per path and flow, ``syns`` being copies of the SYN."""
    until = {point: place.last_ns for point, place in window.places.items()}
    legs = candidates.select("path", "backend", "outcome", leg="legs").explode("leg").unique()
    # Lazily, for the flow table is wide: joining all of it would copy all of it.
    return (
        window.flows.lazy()
        .join(legs.lazy(), "leg")
        .select(
            "path",
            "backend",
            "outcome",
            "flow",
            "point",
            "at_ns",
            "rev_syns",
            "rev_packets",
            "fwd_resets",
            "fwd_syn_ttl",
            syns=pl.col("fwd_syns").cast(pl.Int64),
            itself=pl.col("src") == pl.col("dst"),
            one_way=pl.col("point").is_in(list(window.one_way)),
            until_ns=pl.col("point").replace_strict(until, default=None, return_dtype=pl.Int64),
            # The last answer acknowledges the SYN and nothing behind it, and got nothing back.
            waiting=(pl.col("rev_syns") > 0)
            & pl.col("fwd_last_ack").is_null()
            & (pl.col("fwd_resets") == 0)
            & ((pl.col("rev_last_ack").cast(pl.Int64) - pl.col("fwd_isn").cast(pl.Int64)) % 2**32 == 1),
        )
        .collect()
    )


def _asked(seen: pl.DataFrame) -> pl.DataFrame:
    """The paths that may be told, one row each: those with no SYN, or too young to tell, are left out."""
    sent = pl.col("syns") > 0
    asked = seen.group_by("path", "backend", "outcome").agg(
        pl.col("syns").max(),
        pl.col("itself").any(),
        started_ns=pl.col("at_ns").filter(sent).min(),
        until_ns=pl.col("until_ns").filter(sent).max(),
        one_way=pl.col("one_way").filter(sent).all(),
    )
    # Where no answer was ever seen pass, one SYN alone may have been answered in whatever way.
    unseen = (pl.col("syns") < _ASKED_OFTEN) & (pl.col("outcome") == "unanswered") & pl.col("one_way")
    old = (pl.col("until_ns") - pl.col("started_ns") >= DEADLINE_NS).fill_null(value=False)
    return asked.filter(sent, ~pl.col("itself"), (pl.col("outcome") == "rejected") | (old & ~unseen))


def _homes(window: Window, asked: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """The points on each path's member: whether the SYN ``reached`` it, and whether its silence says something."""
    places = pl.DataFrame(
        [
            (host, place.point, place.sure, place.first_ns, place.last_ns)
            for place in window.places.values()
            for host in sorted(place.hosts)
        ],
        schema={
            "backend": asked.schema["backend"],
            "point": seen.schema["point"],
            "sure": pl.Boolean,
            "since_ns": pl.Int64,
            "until_ns": pl.Int64,
        },
        orient="row",
    )
    reached = seen.filter(pl.col("syns") > 0).select("path", "point", reached=pl.lit(value=True)).unique()
    return (
        asked.select("path", "backend", "started_ns")
        .join(places, "backend")
        .join(reached, ["path", "point"], how="left")
        .with_columns(
            pl.col("reached").fill_null(value=False),
            alive=(pl.col("since_ns") <= pl.col("started_ns") + DEADLINE_NS)
            & (pl.col("started_ns") <= pl.col("until_ns") + DEADLINE_NS)
            & ~pl.col("point").is_in(list(window.one_way)),
        )
    )


def _rejected(window: Window, asked: pl.DataFrame, seen: pl.DataFrame, homes: pl.DataFrame) -> pl.DataFrame:
    """Where an ICMP error came from: the member itself, or from before it."""
    asked = asked.filter(pl.col("outcome") == "rejected")
    errors = window.events.filter(pl.col("peer").is_not_null()).select("flow", "peer")
    own = seen.join(errors, "flow").filter(pl.col("peer") == pl.col("backend"))["path"].unique()
    stood = homes.group_by("path").agg(pl.col("reached").any(), pl.col("sure").any())
    itself = pl.col("path").is_in(own.implode())
    before = ~pl.col("reached")
    return asked.join(stood, "path", how="left").select(
        "path",
        where=pl.when(itself).then(pl.lit("in-member")).when(before).then(pl.lit("before-member")).otherwise(_UNKNOWN),
        how=pl.lit("icmp"),
        sure=itself | (before & pl.col("sure")).fill_null(value=False),
        syns="syns",
        missed=pl.lit(value=True),
    )


def _half_open(window: Window, asked: pl.DataFrame, seen: pl.DataFrame, homes: pl.DataFrame) -> pl.DataFrame:
    """Paths whose answer got lost: a point misses it, or the client asks again."""
    asked = asked.filter(pl.col("outcome") == "half-open")
    seen = seen.filter(pl.col("outcome") == "half-open")
    lost = pl.col("path").is_in(_answer_lost(seen).implode())
    again = pl.col("path").is_in(_asked_again(window, seen).implode())
    stood = homes.filter("alive").group_by("path").agg(pl.col("sure").all())
    return (
        asked.filter(lost | again)
        .join(stood, "path", how="left")
        .select(
            "path",
            where=pl.lit("return-path"),
            how=pl.lit("silent"),
            sure=pl.col("sure").fill_null(value=False),
            syns="syns",
            missed=lost,
        )
    )


def _unanswered(asked: pl.DataFrame, homes: pl.DataFrame) -> pl.DataFrame:
    """How far SYNs came that nobody answered: not to every point on the member, or there and no farther."""
    asked = asked.filter(pl.col("outcome") == "unanswered")
    # Points that missed it show where it got lost; where none did, all of them have to be sure.
    stood = (
        homes.filter("alive")
        .group_by("path")
        .agg(
            pl.col("reached").all(),
            all_sure=pl.col("sure").all(),
            missed_sure=(pl.col("sure") & ~pl.col("reached")).any(),
        )
    )
    return asked.join(stood, "path", how="left").select(
        "path",
        where=pl.when("reached")
        .then(pl.lit("in-member"))
        .when(~pl.col("reached"))
        .then(pl.lit("before-member"))
        .otherwise(_UNKNOWN),
        how=pl.lit("silent"),
        sure=pl.when("reached").then("all_sure").otherwise("missed_sure").fill_null(value=False),
        syns="syns",
        missed=pl.lit(value=True),
    )


def _answer_lost(seen: pl.DataFrame) -> pl.Series:
    """Paths of which a point upstream saw the SYN but not the SYN-ACK seen elsewhere, and no client rejected it."""
    # Upstream is where the SYN's TTL is higher, or the same and seen earlier.
    nearest = (
        seen.filter(pl.col("rev_syns") > 0)
        .sort(["path", "fwd_syn_ttl", "at_ns"], descending=[False, True, False], nulls_last=True)
        .group_by("path", maintain_order=True)
        .agg(near_ttl=pl.col("fwd_syn_ttl").first(), near_ns=pl.col("at_ns").first(), resets=pl.col("fwd_resets").sum())
        .filter(pl.col("resets") == 0)
    )
    waiting = seen.filter(pl.col("syns") > 0, pl.col("rev_packets") == 0).join(nearest, "path")
    ttl, near = pl.col("fwd_syn_ttl"), pl.col("near_ttl")
    earlier = (ttl == near) & (pl.col("at_ns") < pl.col("near_ns"))
    return waiting.filter(near.is_null() | (ttl > near) | earlier)["path"].unique()


def _asked_again(window: Window, seen: pl.DataFrame) -> pl.Series:
    """Paths whose client went on sending its SYN long after a SYN-ACK for it had passed the same point."""
    waiting = seen.filter("waiting").select("path", "flow")
    events = window.events.filter(pl.col("flow").is_in(waiting["flow"].implode()))
    answers = events.filter(pl.col("kind") == _SYN_ACK).group_by("flow").agg(answer_ns=pl.col("at_ns").min())
    again = (
        events.filter(pl.col("kind") == _SYN)
        .join(answers, "flow")
        .filter(pl.col("at_ns") - pl.col("answer_ns") >= _INSISTS_NS)
    )
    return waiting.join(again, "flow", how="semi")["path"].unique()


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
