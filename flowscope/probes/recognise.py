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


@cache
def _known() -> tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], tuple[str, ...]]:
    """Documented probe sources and user agents, from the data file beside this module."""
    data = tomllib.loads(files("flowscope.probes").joinpath("probers.toml").read_text("utf-8"))
    networks = tuple(ipaddress.ip_network(prefix) for one in data["prober"] for prefix in one.get("source", ()))
    agents = tuple(text.lower() for one in data["prober"] for text in one.get("header", ()))
    return networks, agents


def is_probe_source(address: str, topology: Topology) -> bool:
    """True when probes come from this address, by the topology or by a cloud's documentation."""
    if topology.is_probe_source(address):
        return True
    parsed = ipaddress.ip_address(address)
    return any(parsed.version == network.version and parsed in network for network in _known()[0])


def probe_paths(
    paths: pl.DataFrame, addresses: pl.DataFrame, messages: pl.DataFrame, flows: pl.DataFrame, topology: Topology
) -> pl.Series:
    """Numbers of the paths that are probes."""
    sources = [row[0] for row in addresses.select("address", "text").iter_rows() if is_probe_source(row[1], topology)]
    by_source = paths.filter(pl.col("client").is_in(sources))["path"]
    said = messages.filter(pl.col("kind") == "http-request").select("flow", pl.col("headers").alias("header"))
    header = pl.col("header").str.to_lowercase()
    said = said.explode("header").filter(pl.any_horizontal(header.str.starts_with(word) for word in _known()[1]))
    if not said.height:
        return by_source
    legs = flows.filter(pl.col("flow").is_in(said["flow"].implode()))["leg"].implode()
    by_word = paths.filter(pl.col("legs").list.eval(pl.element().is_in(legs)).list.any())["path"]
    return pl.concat([by_source, by_word]).unique()
