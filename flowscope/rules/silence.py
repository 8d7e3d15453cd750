"""Connections to members that nobody answered, and how far each of them came.

Shared by the rules about blocked traffic: which points saw the SYN, which saw an answer, and what stands at the member.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.places import Place
from flowscope.window import Window

#: Silence is judged only when the capture went on for so long after the first SYN (a Linux client has retried twice).
DEADLINE_NS = 3_000_000_000

SCHEMA = {"where": pl.String, "how": pl.String, "sure": pl.Boolean, "syns": pl.Int64}
"""Columns that :func:`describe` adds."""


def describe(window: Window) -> pl.DataFrame:
    """Paths to a member without answer: ``judgeable`` columns plus :data:`SCHEMA`.

    ``where`` is where the SYN (or its answer) got lost, ``how`` is ``silent`` or ``icmp``, ``sure`` is false when the
    place of a point was guessed, ``syns`` counts SYN copies at the point that saw most.
    """
    candidates = window.judgeable.filter(
        pl.col("outcome").is_in(["unanswered", "rejected", "half-open"]), pl.col("backend").is_not_null()
    ).join(endpoints(window), ["backend", "backend_port"], how="semi")
    rows = []
    for row in candidates.iter_rows(named=True):
        flows = window.flows_of_legs(row["legs"])
        told = _placed(window, row["backend"], row["outcome"], flows)
        if told is not None:
            rows.append({**row, **dict(zip(SCHEMA, told, strict=True))})
    return pl.DataFrame(rows, schema={**window.judgeable.schema, **SCHEMA})


def endpoints(window: Window) -> pl.DataFrame:
    """Members, and what is taken for one: columns ``backend`` and ``backend_port``."""
    return pl.DataFrame(
        sorted({*window.members, *window.presumed_members}), schema=window.members_frame.schema, orient="row"
    )


def _placed(window: Window, backend: int, outcome: str, flows: pl.DataFrame) -> tuple[str, str, bool, int] | None:
    """``where``, ``how``, ``sure`` and ``syns`` of one path; None when it is no blocking, or too young to tell."""
    syns = flows.filter(pl.col("fwd_syns") > 0)
    if not syns.height or flows.filter(pl.col("src") == pl.col("dst")).height:
        return None
    most = int(syns["fwd_syns"].max() or 0)  # type: ignore[arg-type]
    if outcome == "rejected":
        where, sure = _rejected(window, backend, flows)
        return where, "icmp", sure, most
    started = int(syns["at_ns"].min() or 0)  # type: ignore[arg-type]
    ends = [window.places[point].last_ns for point in syns["point"].unique() if point in window.places]
    if max(ends, default=started) - started < DEADLINE_NS:
        return None
    home = [place for place in window.points_on(backend) if _alive(place, started)]
    if outcome == "half-open":
        lost = _answer_lost(flows)
        return ("return-path", "silent", all(place.sure for place in home) and bool(home), most) if lost else None
    if not home:
        return "unknown", "silent", False, most
    reached = set(syns["point"])
    seen = [place for place in home if place.point in reached]
    if len(seen) == len(home):
        return "in-member", "silent", all(place.sure for place in home), most
    missed = [place for place in home if place.point not in reached]
    return "before-member", "silent", any(place.sure for place in missed), most


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


def _rejected(window: Window, backend: int, flows: pl.DataFrame) -> tuple[str, bool]:
    errors = window.events.filter(pl.col("flow").is_in(flows["flow"].implode()), pl.col("peer").is_not_null())
    if (errors["peer"] == backend).any():
        return "in-member", True
    home = window.points_on(backend)
    reached = set(flows.filter(pl.col("fwd_syns") > 0)["point"])
    if home and not any(place.point in reached for place in home):
        return "before-member", any(place.sure for place in home)
    return "unknown", False
