"""Profiles say what is documented, each value with its page."""

from __future__ import annotations

from dataclasses import fields

import pytest

from flowscope.nat.profile import UNTOLD, Fact, Ports, Profile, Source
from flowscope.nat.profile_file import load_profiles

PAGE = Source("a page", "2026")


def facts(profile: Profile) -> dict[str, Fact[object]]:
    """Every value of a profile, by where it stands."""
    found = {f"survives.{name}": fact for name, fact in profile.survives.items()}
    for part in ("idle", "hold", "ports", "probe", "hairpin"):
        table = getattr(profile, part)
        for one in fields(table):
            if isinstance(value := getattr(table, one.name), Fact):
                found[f"{part}.{one.name}"] = value
    return found


@pytest.mark.parametrize("profile", load_profiles(), ids=lambda profile: profile.name)
def test_every_value_names_its_page_and_date(profile: Profile) -> None:
    assert facts(profile)
    for key, fact in facts(profile).items():
        assert fact.source.page and fact.source.date[:2] == "20", key


def test_what_could_not_be_confirmed_says_so() -> None:
    azure = next(profile for profile in load_profiles() if profile.name == "azure-lb")
    assert azure.hold.fin_s is not None and not azure.hold.fin_s.confirmed
    assert azure.idle.tcp_s is not None and azure.idle.tcp_s.confirmed
    assert azure.probe.source is not None
    assert {network.version for network in azure.probe.source.value} == {4}


@pytest.mark.parametrize(("members", "ports"), [(1, 1024), (50, 1024), (51, 512), (1000, 32), (1001, None)])
def test_ports_per_member_follow_the_pool(members: int, ports: int | None) -> None:
    azure = next(profile for profile in load_profiles() if profile.name == "azure-lb")
    assert azure.ports.ports_per_member(members) == ports


def test_an_unknown_allocation_is_unknown() -> None:
    assert Ports().ports_per_member(3) is None
    assert Ports(allocation=Fact(((4, 100),), PAGE)).ports_per_member(5) is None


def test_of_a_balancer_that_nobody_named_nothing_is_known() -> None:
    assert not facts(UNTOLD) and UNTOLD.probe.policy == "generic"
