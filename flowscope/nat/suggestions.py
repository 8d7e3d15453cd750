"""What a profile would add to a topology: documented values, offered as guesses until somebody confirms them."""

from __future__ import annotations

from flowscope.nat.inferred import Guess, Part
from flowscope.nat.profile import Fact, Profile
from flowscope.nat.topology import Topology


def suggestions(profile: Profile, topology: Topology) -> dict[Part, tuple[Guess, ...]]:
    """Timeouts of the profile for the frontends and SNAT addresses of a topology, by part."""
    found: dict[Part, tuple[Guess, ...]] = {}
    for frontend in topology.frontends:
        idle = profile.idle.tcp_s if frontend.protocol == "tcp" else profile.idle.udp_s
        found["frontend", frontend.name] = _guesses(profile, {"idle_timeout_s": idle})
    holds = {"fin_hold_s": profile.hold.fin_s, "rst_hold_s": profile.hold.rst_s}
    for snat in topology.snats:
        found["snat", snat.address] = _guesses(profile, holds)
    return found


def _guesses(profile: Profile, facts: dict[str, Fact[float] | None]) -> tuple[Guess, ...]:
    return tuple(
        Guess(key, fact.value, f"{profile.name}: {fact.source.page}, {fact.source.date}{_doubt(fact)}")
        for key, fact in facts.items()
        if fact is not None
    )


def _doubt(fact: Fact[float]) -> str:
    return "" if fact.confirmed else " (not confirmed)"
