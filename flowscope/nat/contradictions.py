"""Where a given topology and the captures disagree, one sentence each.

A sentence is only said when several paths show it, and when nothing between the captures could explain it: another
translator that was not captured would look the same, so both legs must have passed one point, or lie one hop apart.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from flowscope.nat.inferred import endpoint_text
from flowscope.nat.topology import Frontend, Mode, Network, Pool, Topology
from flowscope.nat.translations import translations
from flowscope.probes.recognise import recognised

if TYPE_CHECKING:
    from flowscope.window import Window

#: Paths that it takes; fewer may be an accident.
_ENOUGH = 3
_PROTOCOLS = {6: "tcp", 17: "udp"}
_SAYS: dict[Mode, str] = {
    "dnat": "the client's address and port were kept",
    "dnat+snat": "the source was rewritten too",
    "proxy": "the proxy made a connection of its own",
}


def contradictions(window: Window) -> list[str]:
    """What the captures show against the window's topology, in the order of the topology.

    Args:
        window: with the topology that was given.
    """
    if not window.topology:
        return []
    steps = translations(window.paths, window.legs).filter(pl.col("method") != "timing")
    near = _one_hop(steps, window)
    return [
        *_members(near, window),
        *_modes(near, window),
        *_ports(steps, window),
        *_probe_sources(window),
        *_probe_ports(window.topology),
    ]


def _one_hop(steps: pl.DataFrame, window: Window) -> pl.DataFrame:
    """The steps between whose legs there is room for one translator only."""
    ttls = window.flows.group_by("leg").agg(pl.col("fwd_ttl_min").min(), pl.col("fwd_ttl_max").max())
    lost = pl.col("fwd_ttl_min").cast(pl.Int16) - pl.col("fwd_ttl_max_b").cast(pl.Int16)
    by_ttl = (
        steps.join(ttls, left_on="a", right_on="leg", maintain_order="left")
        .join(ttls, left_on="b", right_on="leg", suffix="_b", maintain_order="left")
        .filter(lost.is_between(0, 1))
    )
    seen = window.flows.select("leg", "point").unique()
    met = steps.select("path", "a", "b").join(seen, left_on="a", right_on="leg")
    met = met.join(seen, left_on=["b", "point"], right_on=["leg", "point"], how="semi")
    together = pl.concat([by_ttl.select("path", "a", "b"), met.select("path", "a", "b")]).unique()
    return steps.join(together, ["path", "a", "b"], how="semi")


def _members(steps: pl.DataFrame, window: Window) -> Iterator[str]:
    """Frontends that went on to hosts or ports that their pool does not have."""
    text, topology = window.addresses["text"], window.topology
    counts = (
        steps.filter(pl.col("dst_moved"))
        .group_by("protocol", "dst", "dst_port", "dst_b", "dst_port_b", maintain_order=True)
        .agg(pl.len(), pl.col("backend").drop_nulls().unique())
        .filter(pl.col("len") >= _ENOUGH)
        .sort("dst_b", "dst_port_b")
    )
    seen = [
        (_frontend(topology, protocol, text[dst], port), text[behind], behind_port, count, {text[one] for one in ends})
        for protocol, dst, port, behind, behind_port, count, ends in counts.iter_rows()
    ]
    for frontend, pool in _pairs(topology):
        ports: dict[str, list[int]] = {}
        for member in pool.members:
            ports.setdefault(member.address, []).append(member.port)
        for found, address, port, count, ends in seen:
            if found is not frontend or not ports or port in ports.get(address, ()):
                continue
            went = f"{_called(frontend)} went on to {endpoint_text(address, port)} in {count:,} paths"
            if address in ports:
                listed = " or ".join(str(one) for one in sorted(ports[address]))
                yield f"{went}, but its pool {pool.name} has this member at port {listed}."
            # Behind a second frontend whose far side was not seen may be one of them.
            elif ends and not ends & set(ports):
                yield f"{went}, which is no member of its pool {pool.name}."


def _modes(steps: pl.DataFrame, window: Window) -> Iterator[str]:
    """Frontends that forward in another way than given."""
    text = window.addresses["text"]
    # Some balancers rewrite the source of a member's calls to itself, and of nobody else's; with direct server return
    # the port may be rewritten.
    others = steps.filter(
        pl.col("dst") != pl.col("dst_b"), (pl.col("client") != pl.col("backend")).fill_null(value=True)
    )
    counts = others.group_by("protocol", "dst", "dst_port").agg(
        (~pl.col("src_moved")).sum().alias("dnat"),
        (pl.col("src_moved") & ~pl.col("proxied")).sum().alias("dnat+snat"),
        pl.col("proxied").sum().alias("proxy"),
    )
    shown = {
        frontend: row
        for row in counts.iter_rows(named=True)
        if (frontend := _frontend(window.topology, row["protocol"], text[row["dst"]], row["dst_port"]))
    }
    for frontend in window.topology.frontends:
        row = shown.get(frontend)
        if row is None:
            continue
        total = sum(int(row[mode]) for mode in _SAYS)
        mode = max(_SAYS, key=lambda one: int(row[one]))
        count = int(row[mode])
        if mode != frontend.mode and count >= _ENOUGH and count * 2 > total:
            yield (
                f"{_called(frontend)} is given as {frontend.mode}, but in {count:,} of {total:,} paths "
                f"{_SAYS[mode]}: its mode is {mode}."
            )


def _ports(steps: pl.DataFrame, window: Window) -> Iterator[str]:
    """SNAT addresses that used ports outside of their range."""
    text = window.addresses["text"].to_list()
    used = steps.filter(pl.col("src_moved"), ~pl.col("proxied"))
    for snat in window.topology.snats:
        first, last = snat.ports
        if snat.address not in text:
            continue
        own = used.filter(pl.col("src_b") == text.index(snat.address))
        outside = sorted(port for port in own["src_port_b"].to_list() if not first <= port <= last)
        if len(outside) >= _ENOUGH:
            yield (
                f"SNAT address {snat.address} is given ports {first}-{last}, but {len(outside):,} paths left from "
                f"others, {outside[0]} to {outside[-1]}."
            )


def _probe_sources(window: Window) -> Iterator[str]:
    """Pools that are probed, but from elsewhere than given."""
    pools = [pool for pool in window.topology.pools if pool.probe and pool.probe.source]
    if not pools:
        return
    text = window.addresses["text"]
    documented = replace(window.known_probers, topology=Topology())
    known = recognised(window.paths, window.addresses, window.messages, window.flows, documented)
    known = known.filter(pl.col("by") != "shape")
    probes = (
        window.paths.join(known, "path")
        .group_by("policy", "client", "backend", "backend_port")
        .agg(pl.len())
        .sort("len", "client", descending=[True, False])
    )
    for pool in pools:
        probe = pool.probe
        # Who probes in a way of no cloud's own may be anybody.
        if probe is None or probe.policy == "generic":
            continue
        targets = {(member.address, probe.port or member.port) for member in pool.members}
        sources = [
            (text[client], count)
            for policy, client, backend, port, count in probes.iter_rows()
            if policy == probe.policy and backend is not None and (text[backend], port) in targets
        ]
        count = sum(count for _, count in sources)
        if count >= _ENOUGH and not any(_within(source, probe.source) for source, _ in sources):
            given = ", ".join(str(one.network_address if one.num_addresses == 1 else one) for one in probe.source)
            yield (
                f"Pool {pool.name} is given probes from {given}, but all {count:,} probes of its members came from "
                f"elsewhere, most of them from {sources[0][0]}."
            )


def _probe_ports(topology: Topology) -> Iterator[str]:
    """Pools that Front Door is said to probe elsewhere than it sends clients to (its health probes, 2018-09-10)."""
    for pool in topology.pools:
        probe = pool.probe
        if probe is None or probe.policy != "front-door" or probe.port is None:
            continue
        others = sorted({member.port for member in pool.members} - {probe.port})
        if others:
            listed = " or ".join(map(str, others))
            yield (
                f"Pool {pool.name} is given probes on port {probe.port} and clients on port {listed}, but Front Door "
                f"probes the port that it sends clients to, and this cannot be overridden."
            )


def _pairs(topology: Topology) -> Iterator[tuple[Frontend, Pool]]:
    for frontend in topology.frontends:
        pool = topology.pool_of(frontend.pool)
        if pool is not None:
            yield frontend, pool


def _frontend(topology: Topology, protocol: int, address: str, port: int) -> Frontend | None:
    return topology.frontend_of(address, port, _PROTOCOLS.get(protocol, ""))


def _called(frontend: Frontend) -> str:
    end = endpoint_text(frontend.address, frontend.port)
    return f"Frontend {end}" if frontend.name == end else f"Frontend {frontend.name} ({end})"


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    parsed = ipaddress.ip_address(address)
    return any(parsed.version == network.version and parsed in network for network in networks)
