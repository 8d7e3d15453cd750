"""What a user gave wins over what the captures show."""

from __future__ import annotations

import ipaddress

from flowscope.nat.inferred import endpoint_text, merged
from flowscope.nat.topology import Frontend, Member, PointHint, Pool, Probe, Snat, Topology

PROBE = Probe(source=(ipaddress.ip_network("168.63.129.16/32"),), port=8081)
SEEN = Topology(
    None,
    (Frontend("10.0.0.9:80", "10.0.0.9", 80, pool="10.0.0.9:80", mode="dnat+snat"),),
    (Pool("10.0.0.9:80", (Member("10.0.0.4", "10.0.0.4", 8080),), PROBE),),
    (Snat("10.0.0.1", (2000, 3000)),),
    (PointHint("a.pcap", "a"), PointHint("b.pcap", "b")),
)


def test_without_anything_given_it_is_what_was_seen() -> None:
    assert merged(Topology(), SEEN) == SEEN


def test_the_given_wins() -> None:
    given = Topology(
        "lb.toml",
        (Frontend("web", "10.0.0.9", 80, pool="web"),),
        (Pool("web", (Member("vm1", "10.0.0.4", 8080), Member("vm2", "10.0.0.5", 8080))),),
        (Snat("10.0.0.1"),),
        (PointHint("x/a.pcap", "vm1", "vm1"),),
    )
    both = merged(given, SEEN)
    assert both.frontends == given.frontends
    assert [(pool.name, len(pool.members), pool.probe) for pool in both.pools] == [("web", 2, PROBE)]
    assert both.snats == given.snats
    assert both.points == (*given.points, PointHint("b.pcap", "b"))


def test_a_given_probe_stays() -> None:
    mine = Probe(port=1)
    given = Topology(frontends=(Frontend("web", "10.0.0.9", 80, pool="web"),), pools=(Pool("web", (), mine),))
    assert merged(given, SEEN).pools == (Pool("web", (), mine),)


def test_a_frontend_without_pool_gets_the_one_that_was_seen() -> None:
    given = Topology(frontends=(Frontend("web", "10.0.0.9", 80, mode="dsr"),))
    (front,) = merged(given, SEEN).frontends
    assert (front.name, front.mode, front.pool) == ("web", "dsr", "10.0.0.9:80")


def test_a_pool_name_that_is_taken_is_not_taken_again() -> None:
    given = Topology(pools=(Pool("10.0.0.9:80", ()),))
    both = merged(given, SEEN)
    assert both.pools == given.pools
    assert both.frontends[0].pool is None


def test_endpoints() -> None:
    assert endpoint_text("10.0.0.4", 80) == "10.0.0.4:80"
    assert endpoint_text("2001:db8::4", 80) == "[2001:db8::4]:80"
