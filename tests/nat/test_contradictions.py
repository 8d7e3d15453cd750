"""A given topology that the captures contradict is said, and only where nothing else could explain it."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from flowscope.nat.contradictions import contradictions
from flowscope.nat.topology import Frontend, Member, Mode, Pool, Probe, Snat, Topology
from tests.nat.balancers import Seen

CLIENT = "198.51.100.7"
FRONT = ("203.0.113.9", 443)
MEMBER = ("10.1.0.4", 9443)


def given(mode: Mode = "dnat", probe: Probe | None = None, snat: tuple[int, int] | None = None) -> Topology:
    pool = Pool("shop", (Member("vm1", *MEMBER),), probe)
    snats = (Snat("10.1.0.1", snat),) if snat else ()
    return Topology("lb.toml", (Frontend("shop", *FRONT, pool="shop", mode=mode),), (pool,), snats)


def calls(
    member: tuple[str, int] = MEMBER, count: int = 3, own: str | None = None, client: str = CLIENT, **row: Any
) -> Seen:
    seen = Seen()
    for at in range(count):
        src = (client, 40000 + at)
        seen.path((src, FRONT), ((own, 20000 + at) if own else src, member), **row)
    return seen


def said(seen: Seen, topology: Topology) -> list[str]:
    return contradictions(seen.window(topology))


def test_agreement_is_silent() -> None:
    assert said(calls(), given()) == []
    assert said(calls(own="10.1.0.1"), given("dnat+snat", snat=(20000, 20002))) == []
    assert said(calls(("10.9.9.9", 1)), Topology()) == []
    assert said(Seen(), given()) == []


def test_no_member() -> None:
    assert said(calls(("10.1.0.9", 9443)), given()) == [
        "Frontend shop (203.0.113.9:443) went on to 10.1.0.9:9443 in 3 paths, which is no member of its pool shop."
    ]


def test_what_lies_behind_a_second_frontend_was_not_seen() -> None:
    assert said(calls(("10.1.0.9", 9443), backend=None, backend_port=None), given()) == []


def test_another_port() -> None:
    assert said(calls(("10.1.0.4", 80), count=4), given()) == [
        "Frontend shop (203.0.113.9:443) went on to 10.1.0.4:80 in 4 paths, "
        "but its pool shop has this member at port 9443."
    ]


@pytest.mark.parametrize(
    ("mode", "own", "method", "seen_as"),
    [
        ("dnat", "10.1.0.1", "isn", "dnat+snat"),
        ("dnat+snat", None, "tuple", "dnat"),
        ("proxy", None, "tuple", "dnat"),
        ("dnat", "10.1.0.1", "proxy-protocol", "proxy"),
        ("dsr", None, "tuple", "dnat"),
    ],
)
def test_another_mode(mode: Mode, own: str | None, method: str, seen_as: str) -> None:
    (sentence,) = said(calls(own=own, method=method), given(mode))
    assert sentence.startswith(f"Frontend shop (203.0.113.9:443) is given as {mode}, but in 3 of 3 paths ")
    assert sentence.endswith(f": its mode is {seen_as}.")


def test_ports_outside_of_the_range() -> None:
    assert said(calls(own="10.1.0.1", count=5), given("dnat+snat", snat=(20002, 20100))) == []
    assert said(calls(own="10.1.0.1", count=5), given("dnat+snat", snat=(20003, 20100))) == [
        "SNAT address 10.1.0.1 is given ports 20003-20100, but 3 paths left from others, 20000 to 20002."
    ]


@pytest.mark.parametrize(
    "seen",
    [
        calls(("10.1.0.9", 9443), count=2),
        calls(("10.1.0.9", 9443), ambiguous=True),
        calls(("10.1.0.9", 9443), own="10.1.0.1", method="timing"),
        # Two hops apart at different points: another translator may stand between.
        calls(("10.1.0.9", 9443), apart=True, hops=2),
    ],
)
def test_what_proves_too_little_is_not_said(seen: Seen) -> None:
    assert said(seen, given()) == []


def test_two_points_one_hop_apart_are_enough() -> None:
    assert len(said(calls(("10.1.0.9", 9443), apart=True), given())) == 1


def test_a_translator_behind_the_member_is_no_contradiction() -> None:
    seen = Seen()
    for at in range(3):
        src = (CLIENT, 40000 + at)
        seen.path((src, FRONT), (src, ("10.1.0.8", 30080)), (src, MEMBER))
    assert said(seen, given()) == []


def test_a_masqueraded_hairpin_is_no_other_mode() -> None:
    assert said(calls(own="10.1.0.1", client=MEMBER[0]), given()) == []


def test_a_rewritten_port_is_no_end_of_direct_return() -> None:
    assert said(calls((FRONT[0], 8443)), Topology(frontends=(Frontend("shop", *FRONT, mode="dsr"),))) == []


def probed(source: str, count: int = 3) -> Seen:
    seen = Seen()
    for at in range(count):
        seen.path(((source, 50000 + at), (MEMBER[0], 8081)), at_s=at)
    return seen


def test_probes_from_elsewhere() -> None:
    mine = Probe((ipaddress.ip_network("10.1.0.1/32"),), port=8081, policy="azure-lb")
    assert said(probed("168.63.129.16"), given(probe=mine)) == [
        "Pool shop is given probes from 10.1.0.1, but all 3 probes of its members came from elsewhere, "
        "most of them from 168.63.129.16."
    ]


def test_probes_that_may_be_somebody_elses() -> None:
    source = (ipaddress.ip_network("10.1.0.1/32"),)
    azure = Probe(source, port=8081, policy="azure-lb")
    assert said(probed("168.63.129.16", count=2), given(probe=azure)) == []
    assert said(probed("35.191.0.1"), given(probe=azure)) == []
    assert said(probed("168.63.129.16"), given(probe=Probe(source, port=8082, policy="azure-lb"))) == []
    assert said(probed("168.63.129.16"), given(probe=Probe(source, port=8081))) == []
    fits = Probe((ipaddress.ip_network("168.63.129.0/24"),), port=8081, policy="azure-lb")
    assert said(probed("168.63.129.16"), given(probe=fits)) == []


def test_front_door_probes_the_port_of_its_clients() -> None:
    (sentence,) = said(Seen(), given(probe=Probe(port=8081, policy="front-door")))
    assert "given probes on port 8081 and clients on port" in sentence
    assert said(Seen(), given(probe=Probe(policy="front-door"))) == []
    assert said(Seen(), given(probe=Probe(port=MEMBER[1], policy="front-door"))) == []
    assert said(Seen(), given(probe=Probe(port=8081, policy="azure-lb"))) == []
