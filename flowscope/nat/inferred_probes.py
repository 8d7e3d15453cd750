"""How members are probed: by whom, on which port, how often; read from the probes themselves.

Probers that clouds document are known by :mod:`flowscope.probes.recognise`. A balancer that probes from its own address
is told from its clients' traffic: the same address carries translated calls, and the probed port serves none of them,
at an even pace.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import polars as pl

from flowscope.nat.profile import Policy
from flowscope.nat.profile_file import load_profiles
from flowscope.nat.topology import Network, Pool, Probe
from flowscope.probes.shape import paced

if TYPE_CHECKING:
    from flowscope.window import Window

_TCP = 6
#: Probes of one member from one source that it takes to tell their pace.
_ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Target:
    """The probes of one endpoint from one source."""

    policy: Policy
    source: int
    """Address number."""
    networks: tuple[Network, ...]
    """What to call the source in a topology; empty when clients may come from there too."""
    address: str
    port: int
    count: int
    interval_s: float | None
    """None when there were too few."""
    protocol: Literal["tcp", "http", "https"]
    path: str | None


@dataclass(frozen=True, slots=True)
class PoolProbe:
    """The probe of a pool, and what is probed in the same way."""

    probe: Probe
    key: tuple[str, int]
    """Policy and port."""
    addresses: frozenset[str]
    """Everything probed so, members and others."""
    reason: str

    def shared(self, pools: int) -> tuple[Probe, str]:
        """The probe of one of several pools that are probed alike, and why it is believed.

        A proxy checks its servers for each pool apart, so what a member sees of each is slower by their number; clouds
        probe an endpoint once.
        """
        own = self.probe.policy == "generic" and self.probe.source
        if pools == 1 or not own:
            return self.probe, self.reason
        slower = replace(self.probe, interval_s=_rounded(self.probe.interval_s * pools) or self.probe.interval_s)
        return slower, f"{self.reason[:-1]}; these are the checks of {pools} pools."


def infer_probes(window: Window, balancers: frozenset[int]) -> list[Target]:
    """The probed endpoints, by address and port.

    Args:
        window: paths, flows and messages.
        balancers: address numbers that were seen in place of senders.
    """
    known = window.recognised.filter(pl.col("by") != "shape")
    calls = window.paths.filter(pl.col("backend").is_not_null(), pl.col("protocol") == _TCP).select(
        "path", "legs", "client", "backend", "backend_port", "first_ns"
    )
    probes = calls.join(known.drop("by"), "path")
    probes = pl.concat([probes, _from_balancers(calls.join(known, "path", how="anti"), window, balancers)])
    if not probes.height:
        return []
    spoken = _requests(probes, window)
    pause = pl.col("first_ns").sort().diff().median()
    grouped = (
        probes.join(spoken, "path", how="left")
        .group_by("policy", "client", "backend", "backend_port")
        .agg(pl.len().alias("count"), pause.alias("pause_ns"), pl.col("said").max(), pl.col("target").mode().min())
        .sort("backend", "backend_port", "client")
    )
    text = window.addresses["text"].to_list()
    return [
        Target(
            policy=row["policy"],
            source=row["client"],
            networks=_networks(text[row["client"]], row["client"] in balancers),
            address=text[row["backend"]],
            port=row["backend_port"],
            count=row["count"],
            interval_s=_rounded(row["pause_ns"] / 1e9) if row["count"] >= _ENOUGH else None,
            protocol="http" if row["said"] == 2 else "https" if row["said"] == 1 else "tcp",
            path=row["target"] if row["said"] == 2 else None,
        )
        for row in grouped.iter_rows(named=True)
    ]


def probed_alike(pool: Pool, targets: Iterable[Target]) -> PoolProbe | None:
    """The probe that most members of a pool get; None when they get none, or too few to tell."""
    members = {member.address for member in pool.members}
    kinds: dict[tuple[str, int], list[Target]] = {}
    for one in targets:
        kinds.setdefault((one.policy, one.port), []).append(one)
    ranked = sorted(
        kinds.items(),
        key=lambda kind: (-len({one.address for one in kind[1]} & members), -sum(one.count for one in kind[1])),
    )
    if not ranked or not {one.address for one in ranked[0][1]} & members:
        return None
    (policy, port), alike = ranked[0]
    count = sum(one.count for one in alike)
    if count < _ENOUGH:
        return None
    paces = sorted(one.interval_s for one in alike if one.interval_s is not None)
    interval_s = paces[len(paces) // 2] if paces else None
    longest = _longest_timeout_s(alike[0].policy)
    usual = Probe()
    spoken = [one for one in alike if one.protocol != "tcp"]
    probe = Probe(
        source=tuple(dict.fromkeys(network for one in alike for network in one.networks)),
        protocol=spoken[0].protocol if spoken else "tcp",
        port=port,
        path=next((one.path for one in alike if one.path), "/"),
        policy=alike[0].policy,
        interval_s=interval_s or usual.interval_s,
        timeout_s=min(interval_s, longest) if interval_s and longest else usual.timeout_s,
    )
    sources = len({one.source for one in alike})
    addresses = frozenset(one.address for one in alike)
    pace = f", every {interval_s:g} s" if interval_s else ""
    reason = (
        f"{count:,} probes of {len(addresses)} host{'' if len(addresses) == 1 else 's'} on port {port} from "
        f"{sources} address{'' if sources == 1 else 'es'}{pace}."
    )
    return PoolProbe(probe, (policy, port), addresses, reason)


def likely_probers(window: Window, members: Iterable[str]) -> list[tuple[str, int, float]]:
    """Who calls several members at an even pace on a port that serves no call: address, port and pause in seconds.

    A monitor does the same, so this is not enough to call it the balancer's prober.
    """
    text = window.addresses["text"].to_list()
    hosts = [text.index(member) for member in members if member in text]
    known = window.recognised.filter(pl.col("by") != "shape")
    calls = window.paths.join(known, "path", how="anti").filter(
        pl.col("protocol") == _TCP, pl.col("backend").is_in(hosts), ~pl.col("client").is_in(hosts)
    )
    even = _evenly(calls, window)
    if not even.height:
        return []
    pauses = even.unique(["client", "backend", "backend_port"]).select("client", "backend_port", pause_ns="pace_ns")
    alike = pauses.group_by("client", "backend_port").agg(pl.len(), pl.col("pause_ns").median())
    several = alike.filter(pl.col("len") > 1).sort("client", "backend_port")
    return [(text[row[0]], row[1], _rounded(row[3] / 1e9) or 0.0) for row in several.iter_rows()]


def _from_balancers(calls: pl.DataFrame, window: Window, balancers: frozenset[int]) -> pl.DataFrame:
    """Calls that a balancer makes for itself, as :func:`_evenly` tells them."""
    own = calls.filter(pl.col("client").is_in(list(balancers)))
    return _evenly(own, window).drop("pace_ns").with_columns(policy=pl.lit("generic"))


def _evenly(calls: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Calls to ports that serve no translated call, made at an even pace."""
    served = window.paths.filter(pl.col("legs").list.len() > 1).select("backend_port").unique()
    own = calls.filter(pl.col("legs").list.len() == 1).join(served, "backend_port", how="anti")
    return paced(own, _ENOUGH)


def _requests(probes: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Per probe what it said: ``said`` (2 HTTP, 1 TLS) and the HTTP ``target``."""
    kinds = {"http-request": 2, "tls-client-hello": 1}
    said = window.messages.filter(pl.col("kind").is_in(list(kinds)), pl.col("half") == 0).select(
        "flow", "target", said=pl.col("kind").replace_strict(kinds, return_dtype=pl.Int8)
    )
    legs = probes.select("path", pl.col("legs").alias("leg")).explode("leg")
    # Flow numbers are row numbers.
    spoken = said.with_columns(leg=window.flows["leg"].gather(said["flow"])).join(legs, "leg")
    return (
        spoken.sort("path", "said", descending=[False, True])
        .unique("path", keep="first")
        .select("path", "said", "target")
    )


def _networks(source: str, own: bool) -> tuple[Network, ...]:
    """The source as a topology calls it: its documented prefix, or the balancer's own address; else nothing.

    A prober that is known only by what it says may carry clients' calls from the same address.
    """
    parsed = ipaddress.ip_address(source)
    for profile in load_profiles():
        for network in profile.probe.source.value if profile.probe.source else ():
            if network.version == parsed.version and parsed in network:
                return (network,)
    return (ipaddress.ip_network(source),) if own else ()


def _longest_timeout_s(policy: Policy) -> float | None:
    """Where a prober's timeout follows its interval: the most it can be."""
    for profile in load_profiles():
        if profile.probe.policy == policy and profile.probe.longest_timeout_s:
            return profile.probe.longest_timeout_s.value
    return None


def _rounded(seconds: float) -> float | None:
    """A pace as somebody would have configured it."""
    return round(seconds, 1) if seconds >= 0.95 else round(seconds, 2) or None
