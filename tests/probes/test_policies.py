"""Each policy against its documented rule, read as plainly as it is written, over every history a capture may miss."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowscope.nat.topology import Probe
from flowscope.probes.policies import POLICIES

PROBES = st.lists(st.booleans(), min_size=1, max_size=24)
DEFAULTS = {"azure-lb": (1, 1), "aws-nlb": (3, 3), "gcp": (2, 2), "generic": (3, 2)}


def replayed(name: str, probe: Probe | None, probes: list[bool]) -> list[str]:
    policy = POLICIES[name](probe)
    return [policy.add(good) for good in probes]


def in_a_row(up: bool, run: int, probes: list[bool], fall: int, rise: int) -> list[bool]:
    """The rule as the pages have it: a member changes after so many probes in a row against its state."""
    states = []
    for good in probes:
        run = run + 1 if good != up else 0
        if run >= (fall if up else rise):
            up, run = good, 0
        states.append(up)
    return states


def agreed(histories: list[list[bool]]) -> list[str]:
    """What holds whatever came before the capture."""
    return [{(True,): "up", (False,): "down"}.get(tuple(set(step)), "unknown") for step in zip(*histories, strict=True)]


@pytest.mark.parametrize("name", DEFAULTS)
@given(probes=PROBES, given_fall=st.integers(0, 4), given_rise=st.integers(0, 4))
def test_a_number_in_a_row(name: str, probes: list[bool], given_fall: int, given_rise: int) -> None:
    probe = Probe(unhealthy_threshold=given_fall or None, healthy_threshold=given_rise or None)
    fall, rise = given_fall or DEFAULTS[name][0], given_rise or DEFAULTS[name][1]
    starts = [(True, run) for run in range(fall)] + [(False, run) for run in range(rise)]
    expected = agreed([in_a_row(up, run, probes, fall, rise) for up, run in starts])
    assert replayed(name, probe, probes) == expected


@given(probes=PROBES, size=st.integers(1, 5), needed=st.integers(1, 5))
def test_a_number_of_the_last(probes: list[bool], size: int, needed: int) -> None:
    needed = min(needed, size)
    histories = []
    for before in itertools.product((True, False), repeat=size):
        known = [*before, *probes]
        histories.append([sum(known[at + 1 : at + 1 + size]) >= needed for at in range(len(probes))])
    assert replayed("front-door", Probe(sample_size=size, successful_samples=needed), probes) == agreed(histories)


@pytest.mark.parametrize(
    ("last_four", "state"),
    [
        ("1111", "up"),
        ("1001", "up"),
        ("0110", "up"),
        ("0001", "down"),
        ("1000", "down"),
        ("0000", "down"),
    ],
)
def test_front_doors_own_rule(last_four: str, state: str) -> None:
    """SampleSize 4, SuccessfulSamplesRequired 2 (Azure Front Door health probes, 2018-09-10)."""
    assert replayed("front-door", None, [one == "1" for one in "10" + last_four])[-1] == state
