"""Settings of a prober that are read from what clients got, against random balancers with random settings."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowscope.probes.fit import fitting
from flowscope.probes.settings import candidates, episodes, steps, turns
from tests.probes.balancer import Play, play

POLICIES = ("generic", "azure-lb", "aws-nlb", "gcp", "front-door")
POOLS = 50


def verdict(done: Play) -> str:
    """``nothing`` is told, or the truth is ``at`` the point within a probe, ``in`` the range, or ``out`` of it."""
    fits, point = fitting(done.policy, done.told, done.chosen(), done.interval_ns)
    if point is None:
        return "nothing"
    real, found = done.changes(done.setting), done.changes(point)
    if all(probes_apart(done, one, real[one], found[one]) <= 1 for one in real):
        return "at"
    return "in" if any(done.changes(one) == real for one in fits) else "out"


def probes_apart(done: Play, member: int, real: list[tuple[int, str]], found: list[tuple[int, str]]) -> float:
    """How many probes the changes are off; infinite where one is missing or invented."""
    if [state for _, state in real] != [state for _, state in found]:
        return float("inf")
    times = [time for time, _ in done.told[member]]
    pairs = zip(real, found, strict=True)
    return max((abs(bisect_left(times, a) - bisect_left(times, b)) for (a, _), (b, _) in pairs), default=0)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("per_interval", "at_least"), [(0.5, 0.05), (2, 0.5), (10, 0.75)])
def test_changes_are_within_a_probe_or_in_the_range(policy: str, per_interval: float, at_least: float) -> None:
    rng = random.Random(f"{policy} {per_interval}")
    told = [verdict(play(rng, policy, per_interval)) for _ in range(POOLS)]
    # Chance may speak for another setting by a hundred to one: about that often it does.
    assert told.count("out") <= 0.02 * POOLS, told
    assert told.count("at") >= at_least * POOLS, told


@pytest.mark.parametrize("policy", POLICIES)
def test_without_clients_nothing_is_told(policy: str) -> None:
    done = play(random.Random(policy), policy, 10)
    done.came, done.refused = [], []
    assert verdict(done) == "nothing"


@pytest.mark.parametrize("policy", POLICIES)
def test_clients_that_go_where_they_like_tell_nothing_of_a_policy(policy: str) -> None:
    """The members fail long, one after the other, and get their share all the while."""
    rng = random.Random(policy)
    done, turn = play(rng, policy, 10), itertools.count(0, 10)
    done.told = {
        one: [(time, (at + begin) % 20 < 12) for at, (time, _) in enumerate(own)]
        for (one, own), begin in zip(done.told.items(), turn, strict=False)
    }
    done.came = [(time, rng.choice(list(done.told)), client) for time, _, client in done.came]
    done.refused = []
    assert verdict(done) == "nothing"


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.sampled_from(POLICIES), st.integers(0, 10**6))
def test_steps_are_the_changes_of_the_policy(answers: list[bool], policy: str, pick: int) -> None:
    told: list[tuple[int, bool | None]] = [(at + 1, good) for at, good in enumerate(answers)]
    setting = candidates(policy)[pick % len(candidates(policy))]
    (one,) = episodes(told, 0, 10**9)
    known = list(one.__class__(one.start_ns, one.told, True).settled())
    changes = Play(policy, setting, 1, {0: told}).changes(setting)[0]
    expected = [(0, 1.0), *((time, float(state == "up")) for time, state in changes)]
    assert [step for step in steps(policy, setting, known, 0) if step[1] != 0.5] == expected


@pytest.mark.parametrize("policy", POLICIES)
def test_turns_are_what_takes_out_and_brings_back(policy: str) -> None:
    for setting in candidates(policy):
        fall, rise = turns(policy, setting)
        told: list[tuple[int, bool | None]] = [(at, at >= 20) for at in range(40)]
        assert Play(policy, setting, 1, {0: told}).changes(setting)[0] == [(fall - 1, "down"), (19 + rise, "up")]


def test_who_all_fail_together_and_get_clients_all_the_while_tell_next_to_nothing() -> None:
    """A balancer that opens when none is in: what chance sends where in between is no threshold."""
    told, documented = [], 0
    for seed in range(60):
        rng = random.Random(seed)
        done = play(rng, "front-door", 4)
        times = {one: [time for time, _ in own][:16] for one, own in done.told.items()}
        done.told = {one: [(time, at < 4) for at, time in enumerate(own)] for one, own in times.items()}
        last = max(own[-1] for own in times.values())
        done.came = [(time, rng.choice(list(done.told)), client) for time, _, client in done.came if time < last]
        done.refused = []
        told.append(verdict(done))
        _, point = fitting(done.policy, done.told, done.chosen(), done.interval_ns)
        documented += point is not None and turns(done.policy, point) == turns(done.policy, None)
    assert told.count("out") <= 0.02 * len(told), told
    assert documented >= 0.5 * len(told), told
