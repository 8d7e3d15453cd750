"""How many probes it takes a balancer to decide, by what it did: when members ceased and began to get new connections.

A member that is in gets its share of its pool's new connections, and one that is out gets none. Of the thresholds that
may be, the one is taken that makes what arrived by far the likeliest; where none does, the documented one stays
assumed. Front Door counts samples, not a row, so its settings do not show so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import log
from typing import TYPE_CHECKING

import polars as pl

from flowscope.nat.topology import Probe
from flowscope.probes.arrivals import arrivals
from flowscope.probes.asked import Key, PolicyBy, Series
from flowscope.probes.policies import IN_A_ROW

if TYPE_CHECKING:
    from flowscope.window import Window

#: Balancers let thresholds of 2 to 10 be configured, and Azure of 1.
_MOST = 10
#: A new connection to a member that is out: affinity, or a balancer that was late.
_STRAY = 0.01
#: By far: so many times likelier than any other threshold.
_ODDS = 20
#: The part of an interval that a balancer may take to act.
_LATE = 0.5


@dataclass(frozen=True, slots=True)
class _Row:
    """Probes in a row that went alike, and who got new connections from the first of them on."""

    good: bool
    times: tuple[int, ...]
    """When each was decided."""
    came: tuple[tuple[int, bool], ...]
    """New connections of the pool until the row ends: when, and whether to this member."""
    share: float
    late_ns: int
    tells: bool
    """False at the end of a history that was not captured: a member may be in or out already."""

    def likelihood(self, count: int) -> float:
        """Logarithm of the chance of what came, had the balancer decided at this probe of the row."""
        decided = self.times[count - 1] if count <= len(self.times) else None
        total = 0.0
        for at, own in self.came:
            after = decided is not None and at >= decided
            # While the balancer acts on it, a member is as likely in as out.
            acting = decided is not None and after and at < decided + self.late_ns
            chance = 0.5 if acting else float(self.good == after)
            mine = chance * self.share + (1 - chance) * _STRAY
            total += log(mine if own else 1 - mine)
        return total


def by_deeds(window: Window, readings: pl.DataFrame, known: Mapping[Key, Series]) -> dict[Key, Series]:
    """The series, with the thresholds that the balancer showed where nothing tells them.

    Args:
        window: what is judged.
        readings: of all series.
        known: the series, by key.
    """
    guessed = [one for one in known.values() if one.thresholds is None and one.policy in IN_A_ROW]
    siblings = _siblings(window) if guessed else {}
    guessed = [one for one in guessed if len(siblings.get(one.member, ())) > 1]
    if not guessed:
        return dict(known)
    came = arrivals(window)
    # One prober has one policy for a port: all members' rows count together.
    together: dict[tuple[int, int], list[_Row]] = {}
    for one in guessed:
        own = (pl.col(name) == value for name, value in zip(("source", "member", "port"), one.key, strict=True))
        pool = siblings[one.member]
        theirs = came.filter(pl.col("member").is_in(list(pool))).select("at_ns", "member")
        # With every member failing a balancer may use all of them, or none.
        probed = pl.col("source") == one.source, pl.col("port") == one.port, pl.col("member").is_in(list(pool))
        failing = _all_failing(readings.filter(*probed))
        arrived = [
            (int(at), member == one.member)
            for at, member in theirs.iter_rows()
            if not any(start <= at < end for start, end in failing)
        ]
        own_rows = _rows(readings.filter(*own), arrived, 1 / len(pool), one.interval_ns)
        together.setdefault((one.source, one.port), []).extend(own_rows)
    shown = {}
    for one in guessed:
        turned = [row for row in together[one.source, one.port] if row.tells]
        bad, good = ([row for row in turned if row.good is way] for way in (False, True))
        fall, rise = _decided(bad), _decided(good)
        if fall or rise:
            by: PolicyBy = "traffic" if (fall or not bad) and (rise or not good) else "assumed"
            thresholds = Probe(unhealthy_threshold=fall, healthy_threshold=rise)
            shown[one.key] = replace(one, thresholds=thresholds, policy_by=by)
    return {**known, **shown}


def _siblings(window: Window) -> dict[int, frozenset[int]]:
    """Members by address number, each with those that a frontend sends clients to as well."""
    moved = window.judgeable.filter(pl.col("frontend").is_not_null(), pl.col("backend").is_not_null())
    found: dict[int, frozenset[int]] = {}
    for pool in moved.group_by("frontend", "frontend_port").agg(pl.col("backend").unique())["backend"]:
        for member in pool:
            found[member] = found.get(member, frozenset()) | frozenset(pool)
    return found


def _all_failing(readings: pl.DataFrame) -> list[tuple[int, int]]:
    """From when to when the last probe of every member was bad."""
    members = readings["member"].n_unique()
    told = readings.filter(pl.col("result").is_in(["good", "bad"])).sort("decided_ns")
    failing: set[int] = set()
    found: list[tuple[int, int]] = []
    since: int | None = None
    for member, result, decided in told.select("member", "result", "decided_ns").iter_rows():
        failing = failing | {member} if result == "bad" else failing - {member}
        if len(failing) == members and since is None:
            since = decided
        elif len(failing) < members and since is not None:
            found.append((since, decided))
            since = None
    return [*found, (since, 2**63)] if since is not None else found


def _rows(readings: pl.DataFrame, arrived: list[tuple[int, bool]], share: float, interval_ns: int) -> Iterator[_Row]:
    """Probes in a row; one of which nothing is known ends a row, and what follows it may be in or out."""
    told = readings.sort("decided_ns", "sent_ns").filter(pl.col("result") != "open")
    told = told.with_columns(row=pl.col("result").rle_id())
    parts = told.partition_by("row", maintain_order=True)
    for at, part in enumerate(parts):
        result = part["result"][0]
        if result == "unknown":
            continue
        times = tuple(part["decided_ns"])
        until = parts[at + 1]["decided_ns"][0] if at + 1 < len(parts) else times[-1] + interval_ns
        came = tuple(one for one in arrived if times[0] <= one[0] < until)
        before = parts[at - 1]["result"][0] if at else "unknown"
        yield _Row(result == "good", times, came, share, round(_LATE * interval_ns), before not in ("unknown", result))


def _decided(rows: list[_Row]) -> int | None:
    """The threshold that fits all rows best by far; None when none does, or when it was never reached."""
    longest = max((len(row.times) for row in rows), default=0)
    chances = {count: sum(row.likelihood(count) for row in rows) for count in range(1, _MOST + 1)}
    first, second, *_ = sorted(chances, key=lambda count: -chances[count])
    return first if first <= longest and chances[first] - chances[second] >= log(_ODDS) else None
