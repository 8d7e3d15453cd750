"""How findings call a pool of SNAT ports, its members and what to capture next."""

from __future__ import annotations

from typing import Any

import polars as pl

from flowscope.findings import Fact
from flowscope.rules.evidence import tcpdump_line
from flowscope.snat.allocation import address_text
from flowscope.window import Window


def snat_address(window: Window, pool: dict[str, Any]) -> str:
    """The SNAT address of a pool as text."""
    return address_text(window.topology, window.addresses, pool["snat"])


def destination(window: Window, pool: dict[str, Any]) -> str:
    """``198.51.100.10:443``; for UDP, where a port serves the whole host, the address alone."""
    if pool["destination_port"] is None:
        return window.address(pool["destination"])
    return window.endpoint(pool["destination"], pool["destination_port"])


def port_facts(pool: dict[str, Any]) -> dict[str, Fact]:
    """The facts that every finding about port use has."""
    return {
        "ports_available": pool["ports_available"],
        "ports_peak": pool["peak"],
        "refused": pool["refused"],
        "ports_from": pool["ports_from"],
        "ports_needed": pool["ports_needed"],
        "sustainable_per_s": pool["sustainable_per_s"],
    }


def documented(window: Window, pool: dict[str, Any]) -> list[str]:
    """A caveat when the number of ports is the default that the profile documents: where it stands, and since when."""
    if pool["ports_from"] != "profile":
        return []
    ports = window.profile.ports
    fact = ports.allocation or ports.per_address
    where = f" ({fact.source.page}, {fact.source.date})" if fact else ""
    return [
        f"That there are {pool['ports_available']:,} ports is the default of {window.profile.title}{where}; give the "
        "number that is configured as `ports_per_member` or `ports` of [[snat]] in the topology."
    ]


def top_members(window: Window, pool: dict[str, Any], most: int = 3) -> str:
    """Who uses the ports, most first: `` Most ports are used by vm1 (20), vm2 (12).``; empty where nobody was seen."""
    top = (pool["top"] or [])[:most]
    named = ", ".join(f"{window.called(one['inside'])} ({one['connections']:,})" for one in top)
    return f" Most ports are used by {named}." if named else ""


def sustainable(pool: dict[str, Any]) -> str:
    """The rate of new connections that the ports allow, and what it takes for granted."""
    hold = "" if pool["hold_known"] else f", if a port is held for {pool['hold_s']:,.3g} s after a close"
    hold += " (after which one came back)" if pool["hold_seen"] and hold else ""
    return f"{pool['sustainable_per_s'] or 0:g} new connections per second{hold}"


def counted(connections: int) -> str:
    """``1 connection``, ``2,000 connections``."""
    return f"{connections:,} connection{'s' * (connections != 1)}"


def were(connections: int) -> str:
    """The verb that goes with :func:`counted`."""
    return "was" if connections == 1 else "were"


def both_sides_line(window: Window, pool: dict[str, Any], file: str = "snat.pcap") -> str:
    """What to run next: the same packets on both sides of the translator."""
    line = tcpdump_line([window.address(pool["destination"])], pool["destination_port"], file)
    return f"{line}  (on both sides of the translator at once)"


def paths_of(window: Window, numbers: pl.Series) -> pl.DataFrame:
    """The paths with these numbers."""
    return window.paths.filter(pl.col("path").is_in(numbers.implode()))
