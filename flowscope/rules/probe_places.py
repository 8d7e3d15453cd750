"""Where probes got lost, from which points saw them and which saw an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from flowscope.nat.places import Place
from flowscope.rules.probe_subject import home
from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

PLACED = {"path": pl.UInt64, "how": pl.String, "where": pl.String, "sure": pl.Boolean, "listened": pl.Boolean}
"""Columns of :func:`lost_at`; ``sure`` is false when the place of a point was guessed, ``listened`` when the point at
the member has frames at one side of the probe only."""

#: Two points see one packet so far apart at most.
_APART_NS = 100_000_000


def lost_at(window: Window, member: int, failed: pl.DataFrame) -> pl.DataFrame:
    """Where each of these probes got lost.

    Args:
        window: what is judged.
        member: address number of the member they went to.
        failed: rows of the readings, all of them lost.
    """
    legs = window.paths.filter(pl.col("path").is_in(failed["path"].implode()))
    legs = legs.select("path", leg=pl.col("legs").list.last().cast(pl.UInt64))
    flows = window.flows.with_columns(pl.col("leg").cast(pl.UInt64)).join(legs, "leg")
    seen = flows.filter(pl.col("fwd_syns") > 0).group_by("path").agg(pl.col("point").unique(), "flow")
    events = window.events.filter(pl.col("flow").is_in(flows["flow"].implode()))
    by_member = set(events.filter(pl.col("peer") == member)["flow"])
    tried = events.filter(pl.col("kind") == EVENT_KINDS.index("syn"), pl.col("half") == 0)
    tries = tried.join(flows.select("flow", "path"), "flow").group_by("path").agg(tries="at_ns")
    quiet = _where_nobody_answers(window, member)
    points: dict[tuple[int, int | None], _Home] = {}
    rows = []
    lost = (
        failed.select("path", "how", "asked", "host", "interval_ns").join(seen, "path").join(tries, "path", how="left")
    )
    for row in lost.iter_rows(named=True):
        interval_ns = row["interval_ns"]
        at = row["asked"], row["host"]
        if at not in points:
            points[at] = _Home.of(window, member, *at)
        here, listened = points[at].at(row["tries"] or [], interval_ns)
        missed = [place for place in here if place.point not in row["point"]]
        if row["how"] == "answer-lost":
            where, sure = "return-path", bool(here) and all(place.sure for place in here)
        elif row["how"] == "rejected" and by_member & set(row["flow"]):
            where, sure = "in-member", True
        elif not here and quiet & set(row["point"]) and set(row["point"]) - quiet:
            where, sure = "in-member", False
        elif not here:
            where, sure = "unknown", False
        elif missed:
            where, sure = "before-member", any(place.sure for place in missed)
        else:
            where, sure = "in-member", all(place.sure for place in here)
        rows.append((row["path"], row["how"], where, sure, listened or where != "before-member"))
    return pl.DataFrame(rows, schema=PLACED, orient="row")


@dataclass(frozen=True, slots=True)
class _Home:
    """The points on a member, and when it was heard of elsewhere."""

    places: Sequence[Place]
    heard: tuple[int, int] | None
    """First and last packet that it sent, as points elsewhere saw them."""

    @classmethod
    def of(cls, window: Window, member: int, asked: int, host: int | None) -> _Home:
        places = home(window, member, asked, host)
        if host is not None and member == asked:
            # What others of that address sent looks like its own.
            return cls(places, None)
        away = window.flows.filter(~pl.col("point").is_in([place.point for place in places]))
        shift = pl.col("at_ns") - pl.col("first_ns")
        sent = pl.concat(
            away.filter(pl.col(end) == member).select(
                first=pl.col(f"{half}_first_ns") + shift, last=pl.col(f"{half}_last_ns") + shift
            )
            for end, half in (("src", "fwd"), ("dst", "rev"))
        ).drop_nulls()
        first, last = sent.select(pl.col("first").min(), pl.col("last").max()).row(0)
        return cls(places, None if first is None else (first, last))

    def at(self, tries: Sequence[int], near_ns: int) -> tuple[list[Place], bool]:
        """The points that listened at one of these times; else those that may have, and false.

        A point with frames before and after listened. One whose frames end shortly before, or begin shortly after, may
        have: nothing came to the member any more. Not so when it was heard of elsewhere beyond them.
        """
        listened = [place for place in self.places if any(place.first_ns <= at <= place.last_ns for at in tries)]
        if listened:
            return listened, True
        first, last = self.heard or (None, None)
        silent = [
            place
            for place in self.places
            if any(
                (0 < at - place.last_ns <= near_ns and (last is None or last <= place.last_ns + _APART_NS))
                or (0 < place.first_ns - at <= near_ns and (first is None or first >= place.first_ns - _APART_NS))
                for at in tries
            )
        ]
        return silent, False


def _where_nobody_answers(window: Window, member: int) -> set[int]:
    """Points of no sure place that saw nothing but what was sent to this member.

    A member that drops everything shows no TTL to tell its point by. Where others that are probed alike have points of
    their own, such a point is this one's by elimination; a capture of one host's packets further away looks the same.
    """
    asking = {health.series.source for health in window.health if health.series.member == member}
    siblings = {one.series.member for one in window.health if one.series.source in asking} - {member}
    if not any(window.points_on(one) for one in siblings):
        return set()
    here = window.flows.group_by("point").agg(only=((pl.col("dst") == member) & (pl.col("rev_packets") == 0)).all())
    return {point for point in here.filter("only")["point"] if not window.places[point].sure}
