"""Which paths are a balancer's probes.

By source: the topology's (towards the members and the port it says are probed), and the addresses that clouds document
(they reach a member from nowhere else). By what the probe says of itself: Front Door's header, or a prober's user
agent. Both are read from the profiles. A member's own calls to such an address (DNS, WireServer on 168.63.129.16) go
the other way and are no probes.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from flowscope.nat.numbers import address_numbers
from flowscope.nat.profile import Policy
from flowscope.nat.profile_file import load_profiles
from flowscope.nat.topology import Network, Pool, Probe, Topology

PROBES = {"path": pl.UInt64, "policy": pl.String}
"""Columns of :func:`recognised`."""


def probe_sources(addresses: pl.DataFrame, topology: Topology) -> pl.Series:
    """Numbers of the addresses that probes come from, by the topology or by a cloud's documentation."""
    return _among(
        addresses, [*(network for network, _ in _given(topology)), *(network for network, _ in _documented())]
    )


def recognised(
    paths: pl.DataFrame, addresses: pl.DataFrame, messages: pl.DataFrame, flows: pl.DataFrame, topology: Topology
) -> pl.DataFrame:
    """The paths that are probes, each with the policy of who sends them: columns as in :data:`PROBES`.

    What the topology says of a source comes first, then its address, then what the probe says of itself.
    """
    found = [pl.DataFrame(schema=PROBES)]
    requests = messages.filter(pl.col("kind") == "http-request")
    for pool in topology.pools:
        if pool.probe and pool.probe.source:
            found.append(_of_policy(_asking(pool, pool.probe, paths, addresses, requests, flows), pool.probe.policy))
    said = requests.select("flow", header=pl.col("headers")).explode("header")
    said = said.with_columns(pl.col("header").str.to_lowercase())
    for profile in load_profiles():
        source, header = profile.probe.source, profile.probe.header
        begins = [pl.col("header").str.starts_with(word) for word in (header.value if header else ())]
        flowing = said.filter(pl.any_horizontal(pl.lit(value=False), *begins))
        numbers = _among(addresses, source.value) if source else pl.Series(dtype=pl.UInt32)
        if numbers.len():
            asking = paths.filter(pl.col("client").is_in(numbers.implode()))
            if header:
                # Proxies of that cloud forward clients from the same addresses: their requests say something else.
                others = pl.col("header").str.starts_with("user-agent:") | pl.col("header").str.starts_with("via:")
                other = said.filter(others, ~pl.col("flow").is_in(flowing["flow"].implode()))
                asking = asking.join(_through(asking, flows, other["flow"]).select("path"), "path", how="anti")
            found.append(_of_policy(asking, profile.probe.policy))
        if flowing.height:
            found.append(_of_policy(_through(paths, flows, flowing["flow"]), profile.probe.policy))
    return pl.concat(found).unique("path", keep="first", maintain_order=True)


def probe_paths(
    paths: pl.DataFrame, addresses: pl.DataFrame, messages: pl.DataFrame, flows: pl.DataFrame, topology: Topology
) -> pl.Series:
    """Numbers of the paths that are probes."""
    return recognised(paths, addresses, messages, flows, topology)["path"]


def _asking(
    pool: Pool, probe: Probe, paths: pl.DataFrame, addresses: pl.DataFrame, requests: pl.DataFrame, flows: pl.DataFrame
) -> pl.DataFrame:
    """Paths from a pool's probe source to what the topology says it probes.

    A proxy probes from the address that it forwards from: another port, or a request for another path, is no probe.
    """
    numbers = address_numbers(addresses, (member.address for member in pool.members))
    asked = [(numbers[one.address], probe.port or one.port) for one in pool.members if one.address in numbers]
    ends = pl.DataFrame(asked, schema={"backend": pl.UInt32, "backend_port": pl.UInt16}, orient="row").unique()
    found = paths.filter(pl.col("client").is_in(_among(addresses, probe.source).implode()))
    found = found.join(ends, ["backend", "backend_port"], how="semi", maintain_order="left")
    if found.height and probe.protocol == "http":
        other = requests.filter(pl.col("target").str.split("?").list.first() != probe.path.split("?")[0])
        found = found.join(_through(found, flows, other["flow"]).select("path"), "path", how="anti")
    return found


def _through(paths: pl.DataFrame, flows: pl.DataFrame, through: pl.Series) -> pl.DataFrame:
    """Paths that have one of these flows."""
    legs = flows.filter(pl.col("flow").is_in(through.implode())).select(pl.col("leg").cast(pl.UInt64)).unique()
    own = paths.select("path", leg=pl.col("legs")).explode("leg").with_columns(pl.col("leg").cast(pl.UInt64))
    return paths.join(own.join(legs, "leg", how="semi").select("path").unique(), "path", how="semi")


def _given(topology: Topology) -> list[tuple[Network, Policy]]:
    probes = [pool.probe for pool in topology.pools if pool.probe]
    return [(network, probe.policy) for probe in probes for network in probe.source]


def _documented() -> list[tuple[Network, Policy]]:
    probes = [profile.probe for profile in load_profiles()]
    return [(network, probe.policy) for probe in probes if probe.source for network in probe.source.value]


def _of_policy(paths: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    return paths.select(pl.col("path").cast(pl.UInt64), policy=pl.lit(policy))


def _among(addresses: pl.DataFrame, networks: Iterable[Network]) -> pl.Series:
    return addresses.filter(pl.any_horizontal(pl.lit(value=False), *map(_within, networks)))["address"]


def _within(network: Network) -> pl.Expr:
    """True for rows of the address table that lie in a prefix."""
    mapped = network.version == 4
    first = int(network.network_address) + (0xFFFF << 32 if mapped else 0)
    bits = network.prefixlen + (96 if mapped else 0)
    mask = (2**128 - 1) ^ (2 ** (128 - bits) - 1)
    halves = (("high", mask >> 64, first >> 64), ("low", mask & (2**64 - 1), first & (2**64 - 1)))
    return pl.all_horizontal(
        (pl.col(name) & pl.lit(part, pl.UInt64)) == pl.lit(value, pl.UInt64) for name, part, value in halves
    )
