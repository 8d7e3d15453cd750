"""More than three quarters of the SNAT ports towards one destination are in use: soon connections will fail.

What it flags
    A SNAT address whose ports towards one destination were in use to more than 75 % at some moment, without a
    connection that failed for it.

Why it matters
    The step from here to `snat-exhaustion` is small and comes without warning: nothing slows down before SYNs vanish. A
    burst of short connections is enough, because a port stays taken after its connection has ended.

Evidence
    The connections that held a port at the busiest moment. `ports_peak` of `ports_available`, `above_75_s` seconds at
    three quarters and more, `sustainable_per_s` new connections per second that the ports allow.

Look-alikes
    Many connections to many destinations share the ports and are no pressure: each destination is counted for itself.
    Where the topology does not say how many ports there are, the ports that were given bound their number if they were
    given at random (`likely`); given in order they say nothing, and nothing is flagged. From the inside alone
    connections are counted in place of ports (`likely`): some of them may leave by another address.

Check next
    Watch the number of used ports over a day (in Azure the metric "used SNAT ports"); give `fin_hold_s` in the
    topology.

Example
    $ cd captures/snat-pressure
    $ flowscope analyze . --topology topology.toml --select snat-pressure
    F1  WARNING  88% of the SNAT ports of 192.0.2.159 towards 198.51.100.60:443 were in use  [snat-pressure,
        confirmed]
        At the busiest moment 42 of 48 ports towards 198.51.100.60:443 were in use, and for 1.7 s three quarters
        or more.

References
    Azure: outbound connections of Azure Load Balancer; troubleshoot outbound connections.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
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
)
from flowscope.snat.observed import most_ports
from flowscope.snat.uses import KEY
from flowscope.window import Window

SEVERITY = Severity.WARNING

#: The share of the ports that the contract calls pressure.
_PRESSURE = 0.75
#: From this share on a connection that got no port has failed for want of one.
_FAILING = 0.9


def judge(window: Window) -> Iterator[Finding]:
    """One finding per SNAT address and destination: the busiest member, where each has its own ports."""
    use = window.port_use
    if not use.pools.height:
        return
    known = _with_bound(window, use.pools)
    busy = known.filter(pl.col("peak") > _PRESSURE * pl.col("ports_available"))
    for _, pools in busy.group_by(*KEY, maintain_order=True):
        ports = pl.when("ports_known").then("ports_available").otherwise("ports_seen")
        # By another address of the same host a port would have done as well.
        way = use.pools.join(pools.select(*KEY), [name for name in KEY if name != "snat"], how="semi", nulls_equal=True)
        beside = use.refusals.filter(pl.col("also").list.contains(pools["snat"][0]).fill_null(value=False))
        own = use.refusals.join(pools.select("pool"), "pool", how="semi")
        refused = pl.concat([own, beside]).join(way, "pool")
        refused = refused.filter(pl.col("free_held") == 0, pl.col("level_held") >= _FAILING * ports.cast(pl.Int64))
        # Then it has failed already, and snat-exhaustion says so.
        if not refused.height:
            share = pl.col("peak") / pl.col("ports_available")
            yield _pressed(window, pools.sort(share, "pool", descending=[True, False]).row(0, named=True))


def _with_bound(window: Window, pools: pl.DataFrame) -> pl.DataFrame:
    """The pools whose number of ports is known, or bounded by the ports that were given at random."""
    known = pools.filter("ports_known").with_columns(pl.col("ports_available").cast(pl.Int64))
    unknown = pools.filter(~pl.col("ports_known"), "both")
    bounds = []
    for snat, protocol in unknown.select("snat", "protocol").unique(maintain_order=True).iter_rows():
        given = window.port_use.users.filter(
            pl.col("snat") == snat, pl.col("protocol") == protocol, pl.col("snat_port").is_not_null()
        )
        given = given.join(window.paths.select("path", "client_port"), "path").sort("from_ns", "path")
        # A port that was kept was the client's choice.
        if 2 * given.filter(pl.col("client_port") == pl.col("snat_port")).height > given.height:
            continue
        bound = most_ports(given["snat_port"].unique(maintain_order=True).to_list())
        if bound is not None:
            bounds.append((snat, protocol, bound))
    schema = {"snat": pl.Int64, "protocol": pl.Int64, "bound": pl.Int64}
    found = pl.DataFrame(bounds, schema=schema, orient="row").cast({"protocol": pools.schema["protocol"]})
    bounded = unknown.join(found, ["snat", "protocol"])
    bounded = bounded.with_columns(ports_available=pl.max_horizontal("bound", "peak").cast(pl.Int64)).drop("bound")
    return pl.concat([known, bounded]).sort("pool")


def _pressed(window: Window, pool: dict[str, Any]) -> Finding:
    users = window.port_use.users
    held = users.filter(
        pl.col("pool") == pool["pool"],
        ~pl.col("refused"),
        pl.col("from_ns") <= pool["peak_ns"],
        pl.col("until_ns") > pool["peak_ns"],
    )
    paths = paths_of(window, held["path"])
    proof = prove(window, paths, ("syn",), lambda event: _note(window, event), each=2)
    where, address = destination(window, pool), snat_address(window, pool)
    whose = f" of {window.called(pool['member'])}" if pool["member"] is not None else ""
    share = pool["peak"] / pool["ports_available"]
    caveats = documented(window, pool)
    outside = not pool["both"] and pool["ports_seen"] > 0
    if not pool["both"] and not outside:
        caveats.append(
            "Only the inside of the translator was captured: connections were counted, and some of them may use "
            "another SNAT address."
        )
    if not pool["ports_known"]:
        caveats.append(
            f"How many ports there are was inferred: they were given at random from a range that holds "
            f"{pool['ports_available']:,} at most. Give `ports` of [[snat]] in the topology to be sure."
        )
    refused = window.port_use.refusals.filter(pl.col("pool") == pool["pool"]).height
    if refused:
        caveats.append(
            f"{refused:,} connections reached the translator and were not seen to leave it, though ports were left: "
            "a loss of the capture, or a limit on connections."
        )
    failed = f"{counted(refused)} did not get through." if refused else "No connection failed for want of a port."
    if outside:
        failed = "Whether connections got no port shows only inside the translator."
    return Finding(
        rule="snat-pressure",
        severity=SEVERITY,
        verdict=Verdict.LIKELY if caveats else Verdict.CONFIRMED,
        title=f"{share:.0%} of the SNAT ports of {address}{whose} towards {where} were in use",
        summary=(
            f"At the busiest moment {pool['peak']:,} of {pool['ports_available']:,} ports towards {where} were in use, "
            f"and for {pool['above_75_s']:.1f} s three quarters or more. {failed} "
            f"They sustain about {sustainable(pool)}.{top_members(window, pool)}"
        ),
        subject={"snat": address, "destination": where},
        count=held.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(sorted(held["path"])),
        facts={**port_facts(pool), "above_75_s": round(pool["above_75_s"], 3)},
        names=window.names(paths["client"].unique().to_list()),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="Each connection to one destination needs a SNAT port of its own, and few are left.",
        remedy=(
            f"Reuse connections to {where}: keep-alive and a connection pool in the client save most ports.",
            "Give the translator more ports: a larger allocation for each member, more SNAT addresses, a NAT gateway.",
        ),
        caveats=tuple(caveats),
        next_capture=both_sides_line(window, pool) if caveats else None,
        references=("Azure: outbound connections of Azure Load Balancer (ports, holds)",),
    )


def _note(window: Window, event: dict[str, Any]) -> str | None:
    if event["half"] != 0:
        return None
    return f"SYN at {window.point_name(event['point'])} of a connection that held a port at the busiest moment"
