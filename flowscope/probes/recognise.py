"""Which paths are a balancer's probes.

By source: the topology's, and the addresses that clouds document (they reach a member from nowhere else). By what the
probe says of itself: Front Door's header, or a prober's user agent. A member's own calls to such an address (DNS,
WireServer on 168.63.129.16) go the other way and are no probes.
"""

from __future__ import annotations

import ipaddress
import tomllib
from functools import cache
from importlib.resources import files

import polars as pl

from flowscope.nat.topology import Topology

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@cache
def _known() -> tuple[tuple[Network, ...], tuple[str, ...]]:
    """Documented probe sources and beginnings of headers, from the data file beside this module."""
    data = tomllib.loads(files("flowscope.probes").joinpath("probers.toml").read_text("utf-8"))
    networks = tuple(ipaddress.ip_network(prefix) for one in data["prober"] for prefix in one.get("source", ()))
    return networks, tuple(text for one in data["prober"] for text in one.get("header", ()))


def probe_sources(addresses: pl.DataFrame, topology: Topology) -> pl.Series:
    """Numbers of the addresses that probes come from, by the topology or by a cloud's documentation."""
    given = [network for pool in topology.pools if pool.probe for network in pool.probe.source]
    within = [_within(network) for network in (*given, *_known()[0])]
    return addresses.filter(pl.any_horizontal(within))["address"]


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


def probe_paths(
    paths: pl.DataFrame, addresses: pl.DataFrame, messages: pl.DataFrame, flows: pl.DataFrame, topology: Topology
) -> pl.Series:
    """Numbers of the paths that are probes."""
    by_source = paths.filter(pl.col("client").is_in(probe_sources(addresses, topology).implode()))["path"]
    said = messages.filter(pl.col("kind") == "http-request").select("flow", pl.col("headers").alias("header"))
    header = pl.col("header").str.to_lowercase()
    said = said.explode("header").filter(pl.any_horizontal(header.str.starts_with(word) for word in _known()[1]))
    if not said.height:
        return by_source
    legs = flows.filter(pl.col("flow").is_in(said["flow"].implode()))["leg"].implode()
    by_word = paths.filter(pl.col("legs").list.eval(pl.element().is_in(legs)).list.any())["path"]
    return pl.concat([by_source, by_word]).unique()
