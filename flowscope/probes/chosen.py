"""Whom a balancer sent new connections to, and how likely that was, had these members been in and those out.

A member that is in gets its share, as large as it was while the member's probes were good. A balancer with affinity
sends a client to where it was before; how often is measured, for absence proves little then. With no member in, some
use all of them, others none: then clients' SYNs stay unanswered.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import polars as pl

from flowscope.probes.arrivals import RETRIED_NS, arrivals, called
from flowscope.probes.settings import Step, Told

if TYPE_CHECKING:
    from flowscope.window import Window

#: A new connection to a member that is out: the balancer was late, or it does not act on these probes alone.
_STRAY = 0.01
#: Unanswered SYNs while members are in: loss, at least.
_LOSS = 0.02
#: What is presumed of a share before anything was seen, in connections.
_PRESUMED = 2
#: So many repeated calls of clients show whether the balancer keeps them at a member.
_REPEATS = 10
_MOST_STICKY = 0.95
#: New connections that are looked at, and those of them that settings are compared by: more say the same.
_LOOKED_AT, _COMPARED = 20_000, 2_000
#: So many probes before the first failure still tell of shares and habits.
_BEFORE = 50


@dataclass(frozen=True, slots=True)
class Call:
    """A new connection of a client."""

    at_ns: int
    member: int | None
    """Whom it was sent to; None for a SYN that nobody got."""
    before: int | None
    """Whom the client's last connection was sent to, if it made one."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The new connections of a pool."""

    calls: tuple[Call, ...]
    shares: Mapping[int, float]
    """By member: of the connections that came while its own probes were good; all together 1."""
    sticky: float
    """How often the balancer keeps a client at a member beyond chance."""
    lost: float
    """How often a SYN stays unanswered though members are in."""

    def likelihood(self, steps: Mapping[int, Sequence[Step]], *, opens: bool) -> float:
        """Logarithm of the chance of all that.

        Args:
            steps: by member, when it was in.
            opens: whether all members are used while none is in.
        """
        inside = dict.fromkeys(self.shares, 0.5)
        due = sorted((time, member, state) for member, own in steps.items() for time, state in own)
        at, total, weight, none_in = 0, 0.0, 0.0, 1.0
        changed = True
        for call in self.calls:
            while at < len(due) and due[at][0] <= call.at_ns:
                inside[due[at][1]] = due[at][2]
                at, changed = at + 1, True
            if changed:
                weight, none_in, changed = sum(self.shares[m] * w for m, w in inside.items()), 1.0, False
                for state in inside.values():
                    none_in *= 1 - state
            if call.member is None:
                chance = self.lost if opens else none_in + (1 - none_in) * self.lost
            else:
                share, same = self.shares[call.member], float(call.member == call.before)
                wish = self.sticky if call.before is not None else 0.0
                kept = wish * (inside[call.before] if call.before is not None else 0.0)
                fair = share * inside[call.member] / weight if weight else 0.0
                some = kept * same + (1 - kept) * fair
                every = wish * same + (1 - wish) * share
                chance = (1 - none_in) * some + none_in * every * opens
                chance = (1 - _STRAY) * chance + _STRAY * share
            total += log(chance)
        return total

    def within(self, stretches: Iterable[tuple[int, int]]) -> Chosen:
        """Of the calls only those of these times: elsewhere all settings say the same."""
        joined: list[tuple[int, int]] = []
        for start, end in sorted(stretches):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        starts = [start for start, _ in joined]
        kept = []
        for call in self.calls:
            at = bisect_right(starts, call.at_ns) - 1
            if at >= 0 and call.at_ns < joined[at][1]:
                kept.append(call)
        return Chosen(tuple(kept[:_COMPARED]), self.shares, self.sticky, self.lost)


def chosen(window: Window, source: int, members: frozenset[int], told: Mapping[int, Sequence[Told]]) -> Chosen:
    """Whom a balancer sent clients to.

    Args:
        window: what is judged.
        source: its prober's address number.
        members: whom it may choose from, by address number.
        told: by member, its probes; some failed.
    """
    failed = [(time, own) for own in told.values() for time, good in own if good is False]
    first, own = min(failed, key=lambda one: one[0])
    since = own[max(bisect_left([time for time, _ in own], first) - _BEFORE, 0)][0] if len(own) > _BEFORE else 0
    came, refused = _came(window, source, members, since)
    return measured(came, refused, members, told)


def measured(
    came: Sequence[tuple[int, int, int]],
    refused: Sequence[int],
    members: frozenset[int],
    told: Mapping[int, Sequence[Told]],
) -> Chosen:
    """Shares and habits of a balancer, by what it did while all was well.

    Args:
        came: new connections as (time, member, client), by time.
        refused: times of SYNs that nobody got.
        members: whom it may choose from.
        told: by member, its probes.
    """
    good = {member: ([time for time, _ in own], [one is True for _, one in own]) for member, own in told.items()}

    def well(member: int, at_ns: int) -> bool:
        times, fine = good.get(member, ([], []))
        last = bisect_right(times, at_ns) - 1
        return fine[last] if last >= 0 else bool(fine) and fine[0]

    own, seen = dict.fromkeys(sorted(members), 0), dict.fromkeys(sorted(members), 0)
    last: dict[int, int] = {}
    stayed = asked = 0
    calls = []
    for at, member, client in came:
        before = last.get(client)
        calls.append(Call(at, member, before))
        if before is not None and well(before, at):
            asked, stayed = asked + 1, stayed + (before == member)
        last[client] = member
        for one in members:
            if well(one, at):
                seen[one] += 1
                own[one] += one == member
    shares = {one: (own[one] + _PRESUMED) / (seen[one] + _PRESUMED * len(members)) for one in members}
    shares = {one: share / sum(shares.values()) for one, share in shares.items()}
    chance = sum(share**2 for share in shares.values())
    sticky = (stayed / asked - chance) / (1 - chance) if asked >= _REPEATS and chance < 1 else 0.0
    fine = [at for at in refused if all(well(one, at) for one in members)]
    served = [one.at_ns for one in calls if all(well(member, one.at_ns) for member in members)]
    lost = (len(fine) + _LOSS * _PRESUMED) / (len(fine) + len(served) + _PRESUMED)
    calls += [Call(at, None, None) for at in refused]
    calls.sort(key=lambda call: call.at_ns)
    return Chosen(tuple(calls), shares, min(max(sticky, 0.0), _MOST_STICKY), max(lost, _LOSS))


def _came(
    window: Window, source: int, members: frozenset[int], since_ns: int
) -> tuple[list[tuple[int, int, int]], list[int]]:
    """New connections as (time, member, client) by time, and the times of SYNs that nobody got."""
    moved = window.judgeable.filter(pl.col("frontend").is_not_null(), pl.col("backend").is_in(list(members)))
    fronts = moved.select("frontend", "frontend_port").unique().sort("frontend", "frontend_port").rows()
    through = arrivals(window).filter(pl.col("member").is_in(list(members)))
    # Who probes and forwards by itself, as an edge or a proxy does: seen behind it only.
    own = pl.col("client") == source, pl.col("frontend").is_null(), pl.col("backend").is_in(list(members))
    direct = window.judgeable.filter(*own).select("path", "client", member="backend", at_ns="first_ns")
    direct = direct.join(through.select("path"), "path", how="anti")
    through = through.join(moved.select("path"), "path", how="semi")
    both = pl.concat([one.select("at_ns", "member", "client") for one in (through, direct)], how="vertical_relaxed")
    fate = called(window, fronts)
    vain = (pl.col("outcome") == "unanswered") & pl.col("at_ns").is_null()
    held = (pl.col("at_ns") - pl.col("asked_ns") > RETRIED_NS).fill_null(value=False)
    # Of a call through a frontend that shows no backend nothing is known; one that was answered was served by someone.
    lone = window.judgeable.filter(pl.col("frontend").is_null()).select("path")
    refused = fate.filter(held | (vain & pl.col("path").is_in(lone["path"].implode())))["asked_ns"]
    both = both.filter(pl.col("at_ns") >= since_ns).sort("at_ns", "member", "client").head(_LOOKED_AT)
    refused = refused.filter(refused >= since_ns).sort().head(_LOOKED_AT)
    return list(both.iter_rows()), refused.to_list()
