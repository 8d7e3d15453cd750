"""New outbound connections fail because every SNAT port towards one destination is in use.

What it flags
    SYNs that reach the translator and never leave it, while all ports of its address towards that destination are in
    use, or are still held after a close.

Why it matters
    Nothing answers and nothing is logged: no RST, no ICMP. The client waits for its SYN retries, one or two minutes.
    Other destinations and connections that are open go on working, so the network looks healthy. One SNAT port serves
    any number of destinations, but each destination only once; and Azure holds a port for four minutes after a FIN, so
    that the sockets of the client say little.

Evidence
    The SYNs inside, their absence outside, and the model of port use: `ports_peak` of `ports_available` ports were in
    use at every try of a connection that failed. Connections that worked before, or to other destinations at the same
    time, tell it from an outage. `ports_needed` is what would have sufficed.

Look-alikes
    A security rule or an outage fails from the first SYN on, with ports to spare: not flagged. A limit on connections,
    or a translator that is overloaded, drops SYNs as well: excluded by the number of ports in the topology, or by other
    destinations that get ports meanwhile. Without a topology a block of ports is all there is when these came back
    meanwhile and no others were given, else a rule that drops new connections looks the same (`likely`); scattered
    ports count only when further connections got none but these (`likely`). A host that goes out by several addresses
    must have found all of them full. From the inside alone a server that stopped answering looks the same (`likely`). A
    single SYN that is lost and repeated is loss, or two connections that raced for one port.

Check next
    Capture on both sides of the translator at once: the SYN must be on one side only. In Azure look at the metrics
    "SNAT connection count" (state failed) and "used SNAT ports".

Example
    $ cd captures/snat-exhaustion
    $ flowscope analyze . --topology topology.toml --select snat-exhaustion
    F1  ERROR  SNAT ports of 192.0.2.210 towards 198.51.100.178:443 are exhausted  [snat-exhaustion, confirmed]
        64 connections to 198.51.100.178:443 got no port: their SYNs reached the translator and none left it,
        while 32 of 32 ports were in use. 32 connections to 198.51.100.178:443 had worked before, and 12 to
        other destinations worked meanwhile. 96 ports would have sufficed; 32 sustain about 4.98 new connections
        per second, if a port is held for 0.919 s after a close (after which one came back).

References
    Azure: outbound connections of Azure Load Balancer; troubleshoot outbound connections.
    Linux: `conntrack -S`, counters insert_failed and drop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.nat.outcomes import SERVED
from flowscope.rules.evidence import prove
from flowscope.rules.snat_words import (
    both_sides_line,
    counted,
    destination,
    documented,
    paths_of,
    port_facts,
    snat_address,
    sustainable,
    top_members,
    were,
)
from flowscope.snat.allocation import address_text
from flowscope.snat.uses import KEY
from flowscope.window import Window

SEVERITY = Severity.ERROR

#: Ports from which on a full block of neighbouring ones is no accident when the topology does not say how many exist.
_BLOCK = 8
#: Ports that were given again from which on chance (2 ** -8) does not explain that none was new.
_AGAIN = 8
#: Connections, or SYNs of one, that a capture does not lose by chance on one side only.
_ENOUGH = 3
#: From this share on the last ports may be in use and not captured, or not found: Linux tries a limited number.
_NEARLY = 0.9
_SECOND_NS = 1_000_000_000


def judge(window: Window) -> Iterator[Finding]:
    """One finding per SNAT address and destination; where each member has its own ports, all of them together."""
    use = window.port_use
    if not use.refusals.height:
        return
    short = use.pools.filter(pl.col("refused") > 0, pl.col("ports_available") > 0)
    for _, pools in short.group_by(*KEY, maintain_order=True):
        exhausted = []
        for pool in pools.sort("refused", "pool", descending=[True, False]).iter_rows(named=True):
            stuck, doubt = _stuck(use.refusals.filter(pl.col("pool") == pool["pool"]), pool)
            known = bool(pool["ports_known"] or _is_block(pool))
            known = known or (doubt is None and _is_closed_set(window, pool, stuck))
            if not stuck.height or not known or not _worked_before(window, pool, stuck):
                continue
            if doubt != _SHORT or (pool["both"] and _many(stuck) and _worked_elsewhere(window, pool, stuck)):
                exhausted.append((pool, stuck, doubt))
        if exhausted:
            yield _exhausted(window, exhausted)


#: What has to be taken for granted: that closed connections keep their ports, or that some ports were not captured.
_HELD, _SHORT = "held", "short"


def _stuck(refused: pl.DataFrame, pool: dict[str, Any]) -> tuple[pl.DataFrame, str | None]:
    """Connections that failed while all ports were in use, and what that takes for granted."""
    # Where a host goes out by several addresses none of them may have had a port left.
    full = refused.filter(pl.col("level") >= pool["ports_available"], pl.col("free") == 0)
    if full.height:
        return full, None
    held = refused.filter(pl.col("level_held") >= pool["ports_available"], pl.col("free_held") == 0)
    if held.height and not pool["hold_known"]:
        return held, _HELD
    return refused.filter(pl.col("level") >= _NEARLY * pool["ports_available"], pl.col("free") == 0), _SHORT


def _many(stuck: pl.DataFrame) -> bool:
    """True when loss on one side does not explain them: several connections, each tried several times."""
    return stuck.filter(pl.col("tries") >= _ENOUGH).height >= _ENOUGH


def _worked_before(window: Window, pool: dict[str, Any], stuck: pl.DataFrame) -> int:
    """Connections to the same destination that worked before the first that failed, or were at it from the start."""
    before = window.port_use.users.filter(
        pl.col("pool") == pool["pool"],
        pl.col("outcome").is_in([*SERVED, "unknown"]),
        pl.col("from_ns") < stuck["first_ns"].min(),
    )
    heard = window.flows_of_legs(before.filter(pl.col("outcome") == "unknown")["leg"]).filter(pl.col("rev_packets") > 0)
    return before.filter(pl.col("outcome").is_in(SERVED) | pl.col("leg").is_in(heard["leg"].implode())).height


def _worked_elsewhere(window: Window, pool: dict[str, Any], stuck: pl.DataFrame) -> int:
    """Connections that got a port of the same address to another destination meanwhile."""
    return window.port_use.users.filter(
        pl.col("snat") == pool["snat"],
        pl.col("destination").ne_missing(pool["destination"])
        | pl.col("destination_port").ne_missing(pool["destination_port"]),
        pl.col("outcome").is_in(SERVED),
        pl.col("from_ns") >= stuck["first_ns"].min(),
        pl.col("from_ns") <= int(stuck["last_ns"].max()) + _SECOND_NS,  # type: ignore[arg-type]
    ).height


def _is_block(pool: dict[str, Any]) -> bool:
    """True when the ports seen are a closed block, all of them used towards this destination."""
    width = (pool["highest_port"] or 0) - (pool["lowest_port"] or 0) + 1
    return bool(pool["ports_seen"] >= _BLOCK and pool["ports_seen"] == pool["ports_available"] == width)


def _came_back(window: Window, pool: dict[str, Any], stuck: pl.DataFrame) -> bool:
    """True when ports were given again meanwhile, and no other ones: all that were in use was all there are."""
    later = window.port_use.users.filter(
        pl.col("pool") == pool["pool"], ~pl.col("refused"), pl.col("from_ns") > stuck["first_ns"].min()
    )
    return later.height >= _ENOUGH


def _is_closed_set(window: Window, pool: dict[str, Any], stuck: pl.DataFrame) -> bool:
    """True when scattered ports can be all there are: none is new any more, and each refusal met all of them in use.

    A translator that chooses among more ports would have shown new ones: each further connection got one of this set
    by chance half of the time at most, were there twice as many.
    """
    given = window.port_use.users.filter(pl.col("snat") == pool["snat"], ~pl.col("refused"))["snat_port"].drop_nulls()
    whole = pool["ports_seen"] == pool["ports_available"] >= _BLOCK
    again = given.len() - given.n_unique() >= _AGAIN
    always = stuck.height == pool["refused"] and _many(stuck)
    # Where nothing gets a port any more the translator may have failed altogether.
    return bool(pool["both"] and whole and again and always and _worked_elsewhere(window, pool, stuck))


def _exhausted(window: Window, exhausted: list[tuple[dict[str, Any], pl.DataFrame, str | None]]) -> Finding:
    pool, worst, doubt = exhausted[0]
    stuck = pl.concat([one for _, one, _ in exhausted])
    before, elsewhere = _worked_before(window, pool, worst), _worked_elsewhere(window, pool, worst)
    caveats = _caveats(window, pool, stuck, doubt, elsewhere)
    paths = paths_of(window, stuck["path"])
    proof = prove(window, paths, ("syn",), lambda event: _note(window, event))
    where, address = destination(window, pool), snat_address(window, pool)
    whose = " and ".join(window.called(one["member"]) for one, _, _ in exhausted if one["member"] is not None)
    whose = f" of {whose}" if whose else ""
    contrast = f"{counted(before)} to {where} had worked before"
    if elsewhere:
        contrast += f", and {elsewhere:,} to other destinations worked meanwhile"
    return Finding(
        rule="snat-exhaustion",
        severity=SEVERITY,
        verdict=Verdict.LIKELY if caveats else Verdict.CONFIRMED,
        title=f"SNAT ports of {address}{whose} towards {where} are exhausted",
        summary=_summary(window, pool, stuck, doubt, where, contrast),
        subject={"snat": address, "destination": where},
        count=stuck.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(sorted(stuck["path"])),
        facts={**port_facts(pool), "refused": stuck.height},
        names=window.names(paths["client"].unique().to_list()),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=(
            "Each connection to one destination needs a SNAT port of its own, and a port stays taken for a while "
            "after the connection has ended. More connections were opened, or held open, than there are ports."
        ),
        remedy=(
            f"Reuse connections to {where}: keep-alive and a connection pool in the client save most ports.",
            f"Give the translator more ports: a larger allocation for each member ({pool['ports_needed']:,} would "
            "have done here), more SNAT addresses, or a NAT gateway.",
            "Or avoid SNAT: a private endpoint or peering to the destination, or a public address for the member.",
        ),
        caveats=tuple(caveats),
        next_capture=both_sides_line(window, pool) if caveats else None,
        references=(
            "Azure: troubleshoot SNAT exhaustion and connection timeouts",
            "Azure: outbound connections of Azure Load Balancer (ports, holds)",
        ),
    )


def _summary(
    window: Window, pool: dict[str, Any], stuck: pl.DataFrame, doubt: str | None, where: str, contrast: str
) -> str:
    """What failed, and beside what."""
    ports, kind = pool["ports_available"], "" if pool["ports_known"] else " that were seen"
    if not pool["both"]:
        return (
            f"{counted(stuck.height)} to {where} {were(stuck.height)} never answered while connections of the same "
            f"hosts used all {ports:,} ports that {snat_address(window, pool)} has. {contrast}. "
            f"{pool['ports_needed']:,} ports would have sufficed.{top_members(window, pool)}"
        )
    held = doubt == _HELD
    also = sorted({one for others in stuck["also"].drop_nulls() for one in others})
    others = ", ".join(address_text(window.topology, window.addresses, one) for one in also)
    return (
        f"{counted(stuck.height)} to {where} got no port: their SYNs reached the translator and none left it, while "
        f"{ports if held else pool['peak']:,} of {ports:,} ports{kind} were in use"
        f"{' or held after a close' if held else ''}{f', and all of {others}' if also else ''}. {contrast}. "
        f"{pool['ports_needed']:,} ports would have sufficed{' here' if also else ''}; {ports:,} sustain about "
        f"{sustainable(pool)}.{top_members(window, pool)}"
    )


def _caveats(window: Window, pool: dict[str, Any], stuck: pl.DataFrame, doubt: str | None, elsewhere: int) -> list[str]:
    """What else it could be, as far as the captures cannot exclude it."""
    if not pool["both"]:
        return ["Only the inside of the translator was captured: a server that stopped answering looks the same."]
    caveats = documented(window, pool)
    if doubt == _SHORT:
        caveats.append(
            f"Only {pool['peak']:,} of {pool['ports_available']:,} ports were seen in use: the others may have been "
            "lost to the capture, or the translator gave up its search for a free one; a limit on connections looks "
            "the same."
        )
    if doubt == _HELD:
        caveats.append(
            f"How long a port is held after a close is not known; it was counted as held for {pool['hold_s']:,.0f} s"
            + (", after which one came back" if pool["hold_seen"] else "")
            + ". Set fin_hold_s and rst_hold_s in the topology."
        )
    if not pool["ports_known"] and not (elsewhere and _is_block(pool) and _came_back(window, pool, stuck)):
        caveats.append(
            f"The number of ports ({pool['ports_available']:,}) is what was observed: a limit on connections, a rule "
            "that drops new ones, or a translator that failed altogether, looks the same."
        )
    if stuck.height < _ENOUGH and int(stuck["tries"].max() or 0) < _ENOUGH:  # type: ignore[arg-type]
        caveats.append("So few SYNs may have been lost on the way, or the capture outside may have missed them.")
    if not _outside_alive(window, pool, stuck):
        caveats.append("The capture outside the translator did not run all the time.")
    return caveats


def _outside_alive(window: Window, pool: dict[str, Any], stuck: pl.DataFrame) -> bool:
    """True when a point outside saw packets before the first and after the last of these SYNs."""
    crossed = window.port_use.users.filter(pl.col("pool") == pool["pool"], ~pl.col("refused"))["leg"]
    points = set(window.flows_of_legs(crossed)["point"])
    places = [window.places[point] for point in points if point in window.places]
    first, last = stuck["first_ns"].min(), stuck["first_ns"].max()
    return any(place.first_ns <= first and place.last_ns >= last for place in places)  # type: ignore[operator]


def _note(window: Window, event: dict[str, Any]) -> str | None:
    if event["half"] != 0:
        return None
    return f"SYN at {window.point_name(event['point'])}; no SYN with its number leaves the translator"
