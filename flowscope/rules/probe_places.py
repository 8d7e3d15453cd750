"""Where probes got lost, from which points saw them and which saw an answer."""

from __future__ import annotations

import polars as pl

from flowscope.window import Window

PLACED = {"path": pl.UInt64, "how": pl.String, "where": pl.String, "sure": pl.Boolean}
"""Columns of :func:`lost_at`; ``sure`` is false when the place of a point was guessed."""


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
    peers = window.events.filter(pl.col("flow").is_in(flows["flow"].implode()), pl.col("peer").is_not_null())
    by_member = set(peers.filter(pl.col("peer") == member)["flow"])
    quiet = _where_nobody_answers(window, member)
    rows = []
    for row in failed.select("path", "how", "sent_ns").join(seen, "path").iter_rows(named=True):
        # A point that was not alive when the probe was sent proves nothing.
        home = [place for place in window.points_on(member) if place.first_ns <= row["sent_ns"] <= place.last_ns]
        missed = [place for place in home if place.point not in row["point"]]
        if row["how"] == "answer-lost":
            where, sure = "return-path", bool(home) and all(place.sure for place in home)
        elif row["how"] == "rejected" and by_member & set(row["flow"]):
            where, sure = "in-member", True
        elif not home and quiet & set(row["point"]) and set(row["point"]) - quiet:
            where, sure = "in-member", False
        elif not home:
            where, sure = "unknown", False
        elif missed:
            where, sure = "before-member", any(place.sure for place in missed)
        else:
            where, sure = "in-member", all(place.sure for place in home)
        rows.append((row["path"], row["how"], where, sure))
    return pl.DataFrame(rows, schema=PLACED, orient="row")


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
