"""Port use of every SNAT address towards every destination: how high, for how long, who, and what would suffice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from flowscope.nat.profile import UNTOLD, Profile
from flowscope.nat.topology import Topology
from flowscope.snat.allocation import allocations
from flowscope.snat.holds import held, longest_holds, release_ns
from flowscope.snat.sweep import MARKS, cut_at_reuse, level_at, levels, peaks, time_above
from flowscope.snat.uses import KEY, port_users
from flowscope.tables import EVENT_KINDS

_RST, _FIN, _SYN = (EVENT_KINDS.index(kind) for kind in ("rst", "fin", "syn"))
LONGEST_HOLD_S = 240
"""Where the hold after a FIN is not known, a port may be held as long as this: the longest that is documented."""
_TOP_MEMBERS = 5
#: Where connections go, by whatever address.
_WAY = [name for name in KEY if name != "snat"]


class Tables(Protocol):
    """What port use is read from: a window, or the analysis itself."""

    flows: pl.DataFrame
    events: pl.DataFrame
    legs: pl.DataFrame
    paths: pl.DataFrame
    addresses: pl.DataFrame
    topology: Topology

    @property
    def profile(self) -> Profile | None:
        """What is documented of the balancer."""


@dataclass(frozen=True, slots=True)
class PortUse:
    """The use of SNAT ports, by pool: what shares one set of ports towards one destination."""

    pools: pl.DataFrame
    """One row per pool: ``pool``, the key, ``member`` (address number, null when all share), ``ports_available``,
    ``ports_known`` (topology or profile says how many), ``ports_from`` (which, else ``observed``), ``hold_known``,
    ``hold_s`` (how long a port is held after a close, at most), ``hold_seen`` (as ports that came back show),
    ``both``, ``outbound``, ``connections``, ``refused``, ``peak``, ``peak_ns``, ``above_<mark>_s``,
    ``sustainable_per_s``, ``ports_needed``, ``top`` (members by use)."""
    users: pl.DataFrame
    """Connections, with ``pool``, ``from_ns``, ``last_ns``, ``until_ns``, ``ended``."""
    refusals: pl.DataFrame
    """One row per refused connection: ``path``, ``pool``, ``tries``, ``first_ns``, ``last_ns`` (of its SYNs), ``level``
    (the fewest ports in use at any of them), ``level_held`` (the same if every port is held as long as it may be),
    ``also`` (other addresses that its host has used towards that destination), ``free`` and ``free_held`` (the most
    ports that those had left at any of them)."""


def port_use(tables: Tables) -> PortUse:
    """Models the use of SNAT ports; empty when nothing was translated."""
    users = port_users(tables.paths, tables.legs, tables.flows, tables.addresses, tables.topology)
    if not users.height:
        return PortUse(pl.DataFrame(schema={"pool": pl.UInt32}), users, pl.DataFrame(schema={"pool": pl.UInt32}))
    users = _pooled(users, tables)
    users = held(users, tables.flows, tables.events, (_RST, _FIN))
    # The last moment captured; ports held beyond it are nobody's concern.
    end_ns = int(tables.flows.select((pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns")).max()).item())
    fin_s, rst_s = pl.col("fin_hold_s").fill_null(0.0), pl.col("rst_hold_s").fill_null(0.0)
    users = users.with_columns(until_ns=release_ns(fin_s, rst_s, end_ns))
    users = cut_at_reuse(users.filter(~pl.col("refused"))).vstack(users.filter("refused"))
    users = users.join(longest_holds(users), "snat", how="left", maintain_order="left").with_columns(
        hold_s=pl.coalesce("fin_hold_s", pl.min_horizontal("seen_fin_s", pl.lit(float(LONGEST_HOLD_S)))),
        after_rst_s=pl.coalesce("fin_hold_s", pl.min_horizontal("seen_rst_s", pl.lit(float(LONGEST_HOLD_S)))),
    )
    taken = users.filter(~pl.col("refused"))
    swept = levels(taken)
    pools = _summed(users).join(peaks(swept), "pool", how="left").with_columns(pl.col("peak").fill_null(0))
    pools = pools.join(time_above(swept, pools.select("pool", "ports_available")), "pool", how="left")
    pools = pools.with_columns(pl.col(f"above_{mark}_s").fill_null(0.0) for mark in MARKS)
    # Only where somebody got no port does it matter how many would have done, and how long they may be held.
    wanting = users.filter("refused").select(_WAY).unique()
    short = pl.col("pool").is_in(users.join(wanting, _WAY, how="semi", nulls_equal=True)["pool"].unique().implode())
    pools = pools.join(_demand(users.filter(short)), "pool", how="left").join(_top(taken), "pool", how="left")
    pools = pools.with_columns(pl.coalesce("ports_needed", "peak").alias("ports_needed"))
    until_ns = release_ns(pl.col("hold_s"), pl.col("after_rst_s"), end_ns)
    longest = cut_at_reuse(taken.filter(short).with_columns(until_ns=until_ns))
    return PortUse(pools.sort("pool"), users, _refusals(users, swept, levels(longest), tables.events))


def _pooled(users: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Adds ``pool``, ``member``, and what is known of the ports."""
    outbound = users.filter("outbound")
    known = allocations(
        tables.topology,
        tables.profile or UNTOLD,
        tables.addresses,
        outbound["snat"].unique(),
        outbound["inside"].n_unique(),
    )
    given = pl.DataFrame(
        [(one.snat, one.ports, one.per_member, one.fin_hold_s, one.rst_hold_s, one.source) for one in known],
        schema={
            "snat": pl.Int64, "ports": pl.UInt32, "per_member": pl.Boolean, "fin_hold_s": pl.Float64,
            "rst_hold_s": pl.Float64, "ports_from": pl.String,
        },
        orient="row",
    ).unique("snat", keep="first", maintain_order=True)  # fmt: skip
    # All ports that were ever seen of the address; another destination may have shown more of them.
    observed = users.group_by("snat", "protocol").agg(seen=pl.col("snat_port").drop_nulls().n_unique())
    users = users.join(given, "snat", how="left", maintain_order="left").join(
        observed, ["snat", "protocol"], how="left", maintain_order="left"
    )
    # Whose share it was is not known of a connection that was seen outside only.
    users = users.filter(~(pl.col("per_member") & pl.col("inside").is_null()).fill_null(value=False))
    key = [*KEY, "member"]
    users = users.with_columns(
        member=pl.when("per_member").then("inside"),
        ports_known=pl.col("ports").is_not_null(),
        ports_from=pl.col("ports_from").fill_null("observed"),
        ports_available=pl.coalesce("ports", "seen").cast(pl.UInt32),
    ).sort(*key, "path", nulls_last=True)
    return users.with_columns(pool=pl.struct(key).rle_id())


def _summed(users: pl.DataFrame) -> pl.DataFrame:
    same = [*KEY, "member", "ports_available", "ports_known", "ports_from", "fin_hold_s", "rst_hold_s"]
    worked = ~pl.col("refused")
    return users.group_by("pool", maintain_order=True).agg(
        *(pl.col(name).first() for name in same),
        hold_known=pl.col("fin_hold_s").first().is_not_null(),
        hold_s=pl.col("hold_s").first(),
        hold_seen=pl.col("seen_fin_s").first() < LONGEST_HOLD_S,
        both=pl.col("both").any(),
        outbound=pl.col("outbound").any(),
        connections=worked.sum(),
        refused=pl.col("refused").sum(),
        ports_seen=pl.col("snat_port").drop_nulls().n_unique(),
        lowest_port=pl.col("snat_port").min(),
        highest_port=pl.col("snat_port").max(),
        # New connections per second that would fill the ports exactly (Little's law).
        sustainable_per_s=(
            pl.col("ports_available").first()
            / (pl.col("hold_s").first() + (pl.col("last_ns") - pl.col("from_ns")).filter(worked).mean() / 1e9)
        ).round(2),
    )


def _demand(users: pl.DataFrame) -> pl.DataFrame:
    """Ports that would have sufficed: refused connections would have kept theirs as long as the median did."""
    usual = users.group_by("pool").agg(
        usual_ns=(pl.col("until_ns") - pl.col("from_ns")).filter(~pl.col("refused")).median().cast(pl.Int64)
    )
    wanted = users.join(usual, "pool").with_columns(
        until_ns=pl.when("refused").then(pl.col("from_ns") + pl.col("usual_ns").fill_null(0)).otherwise("until_ns")
    )
    return peaks(levels(wanted)).select("pool", ports_needed="peak")


def _top(taken: pl.DataFrame) -> pl.DataFrame:
    """The members that took most ports, most first: a list of structs ``inside``, ``connections``."""
    counted = taken.filter(pl.col("inside").is_not_null()).group_by("pool", "inside").agg(connections=pl.len())
    return (
        counted.sort("connections", "inside", descending=[True, False])
        .group_by("pool", maintain_order=True)
        .agg(top=pl.struct("inside", "connections").head(_TOP_MEMBERS))
    )


def _refusals(users: pl.DataFrame, swept: pl.DataFrame, longest: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    refused = users.filter("refused").select("pool", "path", "leg")
    syns = (
        events.lazy()
        .select("leg", "kind", "half", "point", "at_ns")
        .filter(pl.col("kind") == _SYN, pl.col("half") == 0)
        .filter(pl.col("leg").is_in(refused["leg"].implode()))
        .collect()
        .join(refused, "leg")
    )
    moments = level_at(longest, syns.select("pool", "path", "point", "at_ns")).rename({"level": "held"})
    moments = level_at(swept, moments)
    # Several points may have seen each try.
    tries = moments.group_by("path", "point").len().group_by("path").agg(tries=pl.col("len").max())
    return (
        moments.group_by("pool", "path")
        .agg(
            first_ns=pl.col("at_ns").min(),
            last_ns=pl.col("at_ns").max(),
            level=pl.col("level").min(),
            level_held=pl.col("held").min(),
        )
        .join(tries, "path")
        .join(_left_elsewhere(users, moments, swept, longest), "path", how="left")
        .with_columns(pl.col("free", "free_held").fill_null(0))
        .sort("pool", "first_ns", "path")
    )


def _left_elsewhere(
    users: pl.DataFrame, moments: pl.DataFrame, swept: pl.DataFrame, longest: pl.DataFrame
) -> pl.DataFrame:
    """Per refused connection, what other addresses had left that its host has used towards the same destination."""
    way = [*_WAY, "inside"]
    ways = users.filter(~pl.col("refused")).select(*way, "ports_available", other="pool", address="snat").unique()
    asked = users.filter("refused").select(*way, "path", "snat", "pool")
    others = asked.join(ways, way, nulls_equal=True).filter(pl.col("address") != pl.col("snat"))
    tries = (
        moments.select("path", "point", "at_ns")
        .join(others, "path")
        .select("path", "point", "at_ns", "address", "ports_available", pool="other")
    )
    tries = level_at(longest, tries).rename({"level": "held"})
    left = pl.col("ports_available").cast(pl.Int64)
    return (
        level_at(swept, tries)
        .group_by("path", "point", "at_ns")
        .agg(
            also=pl.col("address").unique().sort(),
            free=(left - pl.col("level")).clip(0).sum(),
            free_held=(left - pl.col("held")).clip(0).sum(),
        )
        .group_by("path")
        .agg(pl.col("also").first(), pl.col("free", "free_held").max())
    )
