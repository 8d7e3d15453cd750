"""What ties a client's leg to a proxy's server leg before any packet is compared: the topology, or one host."""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import address_numbers, endpoint
from flowscope.nat.topology import Topology
from flowscope.probes.recognise import Known, probe_sources

#: Share of the calls to a pool's members that a proxy makes at least.
_SHARE = 0.2
_SCHEMA = {"dst_end": pl.UInt64, "pool": pl.Int64, "proxied": pl.Boolean}


def frontends(addresses: pl.DataFrame, topology: Topology) -> pl.DataFrame:
    """Frontends that have a pool: ``dst_end``, ``pool`` (its place in the topology), ``proxied`` (mode ``proxy``)."""
    place = {pool.name: at for at, pool in enumerate(topology.pools)}
    rows = [
        (one.address, one.port, place[one.pool], one.mode == "proxy") for one in topology.frontends if one.pool in place
    ]
    return _ends(addresses, rows).unique("dst_end", keep="first", maintain_order=True)


def members(addresses: pl.DataFrame, topology: Topology) -> pl.DataFrame:
    """Members of all pools: ``dst_end`` and ``pool``."""
    rows = [(one.address, one.port, at, False) for at, pool in enumerate(topology.pools) for one in pool.members]
    return _ends(addresses, rows).drop("proxied").unique(maintain_order=True)


def with_ties(pairs: pl.DataFrame, addresses: pl.DataFrame, topology: Topology) -> pl.DataFrame:
    """Adds ``expected`` and ``contradicted`` (by the topology), and ``one_host`` (called here, calling there).

    Args:
        pairs: of sides, the server's with the suffix ``_b``.
    """
    known = pairs.join(frontends(addresses, topology), "dst_end", how="left", maintain_order="left")
    served = members(addresses, topology).with_columns(member=pl.lit(value=True))
    known = known.join(
        served, left_on=["dst_end_b", "pool"], right_on=["dst_end", "pool"], how="left", maintain_order="left"
    )
    is_member = pl.col("member").fill_null(value=False)
    return known.with_columns(
        expected=is_member & pl.col("proxied").fill_null(value=False),
        contradicted=pl.col("pool").is_not_null() & ~is_member,
        one_host=pl.col("dst") == pl.col("src_b"),
    ).drop("pool", "proxied", "member")


def pool_keys(
    fronts: pl.DataFrame, backs: pl.DataFrame, addresses: pl.DataFrame, topology: Topology
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Legs to proxied frontends and legs from the proxy to their members, with ``pool``: what the topology ties.

    No topology names the proxy's own addresses. Whoever calls the frontend as well is a client, and so is who calls the
    members now and then.
    """
    to_frontend = fronts.join(frontends(addresses, topology).filter("proxied").drop("proxied"), "dst_end")
    to_member = backs.join(members(addresses, topology), "dst_end")
    to_member = to_member.join(to_frontend.select("pool", "src").unique(), ["pool", "src"], how="anti")
    share = pl.len().over("pool", "src") / pl.len().over("pool")
    return to_frontend, to_member.filter(share >= _SHARE)


def tie_keys(sides: pl.DataFrame, addresses: pl.DataFrame, topology: Topology) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What may tie legs, as a number both sides share: client legs and server legs, ``leg`` and ``tie``.

    A pool of the topology ties the legs to its proxied frontends with those to its members; a host ties the legs that
    end at it with those that begin there.
    """
    to_frontend, to_member = pool_keys(sides, sides, addresses, topology)
    # Pools count from 0 up, hosts from -1 down.
    ends_here = sides.select("leg", tie=-1 - pl.col("dst").cast(pl.Int64))
    begins_here = sides.select("leg", tie=-1 - pl.col("src").cast(pl.Int64))
    return (
        pl.concat([to_frontend.select("leg", tie="pool"), ends_here.join(begins_here, "tie", how="semi")]),
        pl.concat([to_member.select("leg", tie="pool"), begins_here.join(ends_here, "tie", how="semi")]),
    )


def probed(sides: pl.DataFrame, addresses: pl.DataFrame, topology: Topology) -> pl.DataFrame:
    """Legs (``leg``) that may be health probes: from a probe's source to a port that the pool's probe calls."""
    rows = []
    for pool in topology.pools:
        if pool.probe and pool.probe.source:
            rows += [(one.address, pool.probe.port or one.port, 0, False) for one in pool.members]
    called = sides.join(_ends(addresses, rows).select("dst_end").unique(), "dst_end", how="semi")
    return called.filter(pl.col("src").is_in(probe_sources(addresses, Known(topology)).implode())).select("leg")


def _ends(addresses: pl.DataFrame, rows: list[tuple[str, int, int, bool]]) -> pl.DataFrame:
    number = address_numbers(addresses, (address for address, *_ in rows))
    found = [(number[address], port, pool, mode) for address, port, pool, mode in rows if address in number]
    schema = {"dst": pl.UInt32, "dst_port": pl.UInt16, "pool": pl.Int64, "proxied": pl.Boolean}
    table = pl.DataFrame(found, schema=schema, orient="row")
    return table.select("pool", "proxied", dst_end=endpoint("dst")).select(_SCHEMA.keys())
