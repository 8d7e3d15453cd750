"""A profile offers its timeouts, with their page; it decides nothing."""

from __future__ import annotations

from flowscope.nat.inferred import Guess
from flowscope.nat.profile_file import load_profile
from flowscope.nat.suggestions import suggestions
from flowscope.nat.topology import Frontend, Snat, Topology

KNOWN = Topology(
    frontends=(Frontend("web", "10.0.0.9", 80), Frontend("dns", "10.0.0.9", 53, "udp")), snats=(Snat("20.1.1.1"),)
)


def test_documented_timeouts() -> None:
    found = suggestions(load_profile("azure-lb"), KNOWN)
    page = "azure-lb: learn.microsoft.com: load-balancer/load-balancer-tcp-reset, 2020-10"
    assert found["frontend", "web"] == (Guess("idle_timeout_s", 240.0, page),)
    assert found["frontend", "dns"] == ()
    assert [(one.key, one.value) for one in found["snat", "20.1.1.1"]] == [("fin_hold_s", 240.0), ("rst_hold_s", 15.0)]
    assert all(one.reason.endswith("(not confirmed)") for one in found["snat", "20.1.1.1"])


def test_what_is_unknown_is_not_offered() -> None:
    assert not any(suggestions(load_profile("haproxy"), KNOWN).values())
