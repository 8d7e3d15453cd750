"""How many probes it takes a balancer to decide, by what it did: whom it sent new connections to.

Of all settings that a prober may have, those are kept that make what the clients got about as likely as the likeliest
one does. Where these disagree on when a member went down or came back, the change has a range of times; where nothing
speaks against any of them, the documented setting stays assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from flowscope.probes.asked import Key, Series
from flowscope.probes.chosen import chosen
from flowscope.probes.fit import fitting
from flowscope.probes.settings import Told

if TYPE_CHECKING:
    from flowscope.window import Window


def by_deeds(window: Window, readings: pl.DataFrame, known: Mapping[Key, Series]) -> dict[Key, Series]:
    """The series, with the settings that the balancer showed where nothing tells them.

    Args:
        window: what is judged.
        readings: of all series.
        known: the series, by key.
    """
    together: dict[tuple[int, int, str, int | None, str | None], dict[int, Series]] = {}
    for one in known.values():
        if one.thresholds is None and (one.host is None or one.member != one.asked):
            shared = one.asked if one.asked != one.member else None
            together.setdefault((one.source, one.port, one.policy, shared, one.wants), {})[one.member] = one
    if not together:
        return dict(known)
    pools, shown = _pools(window), dict(known)
    for (source, port, policy, shared, wants), asked in together.items():
        to = pl.col("asked") == (pl.col("member") if shared is None else shared)
        same = pl.col("source") == source, pl.col("port") == port, to, pl.col("wants").eq_missing(pl.lit(wants))
        own = readings.filter(*same, pl.col("result") != "open")
        if not (own["result"] == "bad").any():
            continue
        told: dict[int, list[Told]] = {part["member"][0]: _told(part) for part in own.partition_by("member")}
        for pool in _among(pools, asked, source, window):
            members = frozenset(pool)
            choice = chosen(window, source, members, {one: told.get(one, []) for one in members})
            interval = max(asked[one].interval_ns for one in members if one in asked)
            mine = {one: told[one] for one in members if one in told}
            fits, point = fitting(policy, mine, choice, interval)
            for series in (asked[one] for one in members if one in asked):
                shown[series.key] = replace(series, thresholds=point, fits=fits) if point else series
    return shown


def _told(readings: pl.DataFrame) -> list[Told]:
    ordered = readings.sort("decided_ns", "sent_ns").select("decided_ns", "result")
    return [(time, {"good": True, "bad": False}.get(result)) for time, result in ordered.iter_rows()]


def _pools(window: Window) -> list[frozenset[int]]:
    """Members, by address number, that share a frontend's clients."""
    moved = window.judgeable.filter(pl.col("frontend").is_not_null(), pl.col("backend").is_not_null())
    grouped = moved.group_by("frontend", "frontend_port", maintain_order=True).agg(pl.col("backend").unique())
    return list(dict.fromkeys(frozenset(members) for members in grouped["backend"]))


def _among(
    pools: Sequence[frozenset[int]], asked: Mapping[int, Series], source: int, window: Window
) -> Iterator[frozenset[int]]:
    """Whom a prober's balancer chooses from: a frontend's members, and those that it asks and that get no clients."""
    left = set(asked)
    for pool in pools:
        if pool & left:
            left -= pool
            # One that is asked as the others are and that no client was sent to may be out all the time.
            yield pool | frozenset(one for one in asked if not any(one in other for other in pools))
    direct = window.judgeable.filter(pl.col("client") == source, pl.col("backend").is_in(sorted(left)))
    if left and direct.height:
        yield frozenset(left)
