"""Which settings of a prober explain whom its balancer sent clients to, and which of them to go by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import exp, log

from flowscope.nat.topology import Probe
from flowscope.probes.chosen import Chosen
from flowscope.probes.settings import LOST_TOUCH, Episode, Step, Told, candidates, episodes, steps, turns

#: About as likely: another setting is this many times likelier at most.
_ODDS = 100
#: A setting is so many times more usual than one that is a probe further from the documented one.
_USUAL = 2
#: Parts of an interval that a balancer may take to act.
_LATE = (0.05, 0.5)
#: Clients that go on to reach a member after so many failures in a row: the balancer may not act on them.
_IGNORED = 5

_Fit = tuple[Probe, float]
"""A setting and the logarithm of its likelihood."""


def fitting(
    policy: str, told: Mapping[int, Sequence[Told]], choice: Chosen, interval: int
) -> tuple[tuple[Probe, ...], Probe | None]:
    """The settings that fit what clients got, and the one to go by; none when all fit, or none does.

    Where all members failed together and got clients all the while, all fit, and the documented one is gone by.
    """
    failing = _all_failing(told)
    parts = {one: list(_episodes(one, own, choice, interval, failing)) for one, own in told.items()}
    late = round(_LATE[-1] * interval)
    choice = choice.within(
        (times[0], times[-1] + late + interval)
        for own in parts.values()
        for part in own
        for _, row in _rows(part)
        for times in [[time for time, _ in row]]
    )
    if not choice.calls:
        return (), None
    usual = turns(policy, None)
    alike: dict[tuple[tuple[int, tuple[Step, ...]], ...], list[Probe]] = {}
    for setting in candidates(policy):
        doing = tuple((one, tuple(steps(policy, setting, own, 0))) for one, own in parts.items())
        alike.setdefault(doing, []).append(setting)
    found: list[_Fit] = []
    for settings in alike.values():
        # Settings that come to the same count as one, the most usual for them all.
        setting = min(settings, key=lambda one: (apart(turns(policy, one), usual), turns(policy, one)))
        found.append((setting, _likelihood(policy, setting, parts, choice, interval)))
    best = max(chance for _, chance in found)
    # As likely as under any setting if nobody is ever taken out: then the balancer does not act on these probes.
    untouched = choice.likelihood({one: [(own[0].start_ns, 1.0)] for one, own in parts.items() if own}, opens=False)
    if untouched >= best:
        return (), None
    if untouched >= best - log(_ODDS) and not _closes(policy, [one for one, _ in found], parts, choice, interval, best):
        # All failed together and got clients all the while: the moment between tells next to nothing.
        return tuple(candidates(policy)), min(candidates(policy), key=lambda one: apart(turns(policy, one), usual))
    fits = [(setting, chance) for setting, chance in found if chance >= best - log(_ODDS)]
    if len(fits) == len(found) or _ignores(policy, fits, parts):
        return (), None
    likely = {setting for setting, _ in fits}
    same = tuple(setting for settings in alike.values() if likely.intersection(settings) for setting in settings)
    return same, _middle(policy, fits, best)


def apart(one: tuple[int, int], other: tuple[int, int]) -> int:
    """How many probes two pairs of thresholds are from each other."""
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _closes(
    policy: str, settings: Sequence[Probe], parts: Mapping[int, Sequence[Episode]], choice: Chosen, interval: int,
    best: float,
) -> bool:  # fmt: skip
    """True when one of the settings is as likely without sending clients to all members while none is in."""
    return any(_likelihood(policy, one, parts, choice, interval, (False,)) >= best for one in settings)


def _likelihood(
    policy: str, setting: Probe, parts: Mapping[int, Sequence[Episode]], choice: Chosen, interval: int,
    ways: Sequence[bool] = (False, True),
) -> float:  # fmt: skip
    """Under the best that can be said of what is not known besides: how soon it acts, and what it does with none in."""
    return max(
        choice.likelihood(doing, opens=opens)
        for late in _LATE
        for doing in [{one: steps(policy, setting, own, round(late * interval)) for one, own in parts.items()}]
        for opens in ways
    )


def _middle(policy: str, fits: Sequence[_Fit], best: float) -> Probe:
    """Of those that fit, the one that is least far off on average, weighed by how likely and how usual each is."""
    usual = turns(policy, None)
    told = [(setting, turns(policy, setting), chance) for setting, chance in fits]
    weights = [exp(chance - best - log(_USUAL) * apart(own, usual)) for _, own, chance in told]

    def far(own: tuple[int, int]) -> float:
        return round(sum(weight * apart(own, other[1]) for weight, other in zip(weights, told, strict=True)), 9)

    return min(told, key=lambda one: (far(one[1]), one[1]))[0]


def _ignores(policy: str, fits: Sequence[_Fit], parts: Mapping[int, Sequence[Episode]]) -> bool:
    """True when it may be that no member is ever taken out, and it takes many failures if any is.

    Then other probes decide, or none: that is more usual than such a threshold.
    """
    rows = [len(list(row)) for own in parts.values() for one in own for good, row in _rows(one) if not good]
    if max(rows, default=0) < _IGNORED or any(turns(policy, one)[0] <= _IGNORED for one, _ in fits):
        return False
    return any(all(state > 0 for own in parts.values() for _, state in steps(policy, one, own, 0)) for one, _ in fits)


def _rows(one: Episode) -> Iterator[tuple[bool, Iterator[tuple[int, bool]]]]:
    return groupby(one.told, key=lambda probe: probe[1])


def _episodes(
    member: int, told: Sequence[Told], choice: Chosen, interval: int, failing: Sequence[tuple[int, int]]
) -> Iterator[Episode]:
    """Those of a member; who gets a new connection before a second probe was good was in from the start."""
    got = [
        call.at_ns
        for call in choice.calls
        if call.member == member and not any(start <= call.at_ns < end for start, end in failing)
    ]
    for one in episodes(told, told[0][0] - interval, LOST_TOUCH * interval):
        good = [time for time, fine in one.told if fine]
        until = good[1] if len(good) > 1 else one.told[-1][0] + interval
        was = True if any(one.start_ns <= at < until for at in got) else None
        yield from Episode(one.start_ns, one.told, was).settled()


def _all_failing(told: Mapping[int, Sequence[Told]]) -> list[tuple[int, int]]:
    """From when to when the last probe of every member was bad."""
    failing: set[int] = set()
    found: list[tuple[int, int]] = []
    since: int | None = None
    for decided, member, good in sorted(
        (time, one, good) for one, own in told.items() for time, good in own if good is not None
    ):
        failing = failing - {member} if good else failing | {member}
        if len(failing) == len(told) and since is None:
            since = decided
        elif len(failing) < len(told) and since is not None:
            found.append((since, decided))
            since = None
    return [*found, (since, 2**63)] if since is not None else found
