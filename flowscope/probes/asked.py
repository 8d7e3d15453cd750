"""Which probes belong together: one prober, one member, one port; and how it was set up, as far as anyone knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from flowscope.nat.profile import Profile
from flowscope.nat.topology import Pool, Probe
from flowscope.probes.recognise import By, probe_sources
from flowscope.probes.reconfigured import Setting, settings

if TYPE_CHECKING:
    from flowscope.window import Window

SECOND = 1_000_000_000
#: A prober of which nothing is known waits no longer than this (Azure's default interval).
_USUAL_INTERVAL_NS = 5 * SECOND
_USUAL_TIMEOUT_NS = 5 * SECOND
_LONGEST_AZURE_TIMEOUT_NS = 30 * SECOND

Protocol = Literal["tcp", "http", "https"]
PolicyBy = Literal["topology", "profile", "traffic", "assumed"]
Key = tuple[int, int, int, int, int | None, str | None]
"""Address number of the prober, of the member, the probed port, the address that was asked, where, and what for, see
:class:`Series`."""
SERIES = ("source", "member", "port", "asked", "host", "wants")
"""The same as columns."""


@dataclass(frozen=True, slots=True)
class Series:
    """The probes of one prober to one port of one member, and the rules they follow."""

    source: int
    member: int
    port: int
    policy: str
    by: By
    """How it is known: anybody may send the same request, or at the same pace."""
    pools: tuple[str, ...]
    """Pools of the topology that this probe decides about."""
    probe: Probe | None
    """As the topology has it."""
    thresholds: Probe | None
    """What to decide by: the topology's, else what the balancer that was named does by default, else what it did."""
    policy_by: PolicyBy
    """How its thresholds are known; ``assumed`` are documented ones, which may have been configured otherwise."""
    protocol: Protocol
    interval_ns: int
    """The longest, where it changed."""
    timeout_ns: int | None
    """After which the prober takes no answer any more; None when nobody knows."""
    healthy: tuple[int, int]
    """First and last HTTP status that counts as healthy."""
    asked: int
    """Address number that the probes are sent to: the member's own, or a frontend's that it holds."""
    host: int | None
    """The point at one of several hosts that hold this address, where no topology tells the hosts apart."""
    wants: str | None = None
    """The path, where its prober asks for others too, in turn."""
    settings: tuple[Setting, ...] = ()
    """One after the other, where the prober was set up otherwise meanwhile; empty where it was not."""
    fits: tuple[Probe, ...] = ()
    """Settings that what clients got speaks for about as well; empty where it was not asked, or speaks for none."""

    @property
    def key(self) -> Key:
        """What tells it apart."""
        return self.source, self.member, self.port, self.asked, self.host, self.wants

    @property
    def point(self) -> int | None:
        """The point at the host, where its address is the one that all of them hold and nothing else tells it apart."""
        return self.host if self.member == self.asked else None

    @property
    def latest_interval_ns(self) -> int:
        """The interval at the end of the capture."""
        return (self.settings[-1].interval_ns if self.settings else None) or self.interval_ns

    @property
    def patience_ns(self) -> int:
        """How long silence must last to be a failure: the timeout, else until the next probe is due."""
        return self.timeout_ns or self.interval_ns


def series(window: Window, probes: pl.DataFrame) -> dict[Key, Series]:
    """The series that these probes form, by key.

    Args:
        window: what is judged.
        probes: with the columns of :data:`SERIES`, ``sent_ns``, and of what was asked ``asks`` (the protocol) and
            ``target``, null when it did not get so far.
    """
    gaps = pl.col("sent_ns").sort().diff()
    asks = pl.col("asks").drop_nulls()
    table = (
        probes.join(window.recognised, "path", how="left")
        .group_by(SERIES, maintain_order=True)
        .agg(
            pl.col("policy", "by").first(),
            gaps.median().alias("gap"),
            gaps.len().alias("n"),
            asks.mode().first(),
            times=pl.col("sent_ns").sort_by("sent_ns", "path"),
            targets=pl.col("target").sort_by("sent_ns", "path"),
        )
    )
    known = set(probe_sources(window.addresses, window.known_probers))
    found = {}
    for row in table.sort("member", "port", "source", "asked", "host", "wants").iter_rows(named=True):
        one = _set_up(window, row, "source" if row["source"] in known else row["by"])
        found[one.key] = one
    return found


def pools_probed(window: Window, member: int, port: int) -> list[Pool]:
    """Pools of the topology that have this member probed at this port."""
    address = window.address(member)
    return [
        pool
        for pool in window.topology.pools
        if pool.probe
        and any(
            one.enabled and one.address == address and (pool.probe.port or one.port) == port for one in pool.members
        )
    ]


def _set_up(window: Window, row: dict[str, Any], by: By) -> Series:
    source, member, port = int(str(row["source"])), int(str(row["member"])), int(str(row["port"]))
    pools = pools_probed(window, member, port)
    # Of several that ask from one address at one port the path tells whose a probe is.
    pools = [pool for pool in pools if pool.probe and pool.probe.path == row["wants"]] or pools
    probe = pools[0].probe if pools else None
    policy = probe.policy if probe else str(row["policy"] or "generic")
    # Two probes make one gap: any chance makes that.
    measured = round(float(str(row["gap"]))) if row["gap"] and int(str(row["n"])) > 2 else None
    told = window.known_probers.profiles()
    thresholds = probe or _thresholds(window.profile, policy)
    changes = settings(row["times"], row["targets"])
    if known := [one.interval_ns for one in changes if one.interval_ns]:
        measured = max(known)
    interval = measured or (round(probe.interval_s * SECOND) if probe else _documented_interval(policy, told))
    return Series(
        source=source,
        member=member,
        port=port,
        policy=policy,
        # Who goes about it as a prober, and asks where the topology has the pool probed, is its prober.
        by="source" if by == "shape" and pools else by,
        pools=tuple(pool.name for pool in pools),
        probe=probe,
        thresholds=thresholds,
        policy_by="topology" if probe else "profile" if thresholds else "assumed",
        protocol=probe.protocol if probe else _protocol(row["asks"]),
        interval_ns=interval,
        timeout_ns=timeout_at(probe, policy, interval),
        wants=row["wants"],
        settings=changes,
        healthy=_healthy(policy, told),
        asked=int(str(row["asked"])),
        host=None if row["host"] is None else int(str(row["host"])),
    )


def _protocol(asks: object) -> Protocol:
    return "http" if asks == "http" else "https" if asks == "https" else "tcp"


def timeout_at(probe: Probe | None, policy: str, interval: int) -> int | None:
    """After which a prober with this interval takes no answer any more; None when nobody knows."""
    if probe and probe.timeout_s is not None:
        return round(probe.timeout_s * SECOND)
    if policy == "azure-lb":
        # It has no timeout of its own: a probe has failed when the next one is due.
        return min(interval, _LONGEST_AZURE_TIMEOUT_NS)
    return _USUAL_TIMEOUT_NS if probe else None


def _thresholds(profile: Profile, policy: str) -> Probe | None:
    fall, rise = profile.probe.unhealthy_threshold, profile.probe.healthy_threshold
    if profile.probe.policy != policy or not (fall or rise):
        return None
    return Probe(unhealthy_threshold=fall.value if fall else None, healthy_threshold=rise.value if rise else None)


def _documented_interval(policy: str, profiles: Iterable[Profile]) -> int:
    for profile in profiles:
        if profile.probe.policy == policy and profile.probe.interval_s:
            return round(profile.probe.interval_s.value * SECOND)
    return _USUAL_INTERVAL_NS


def _healthy(policy: str, profiles: Iterable[Profile]) -> tuple[int, int]:
    """What the profile says; 200 to 399 for a prober that is not documented (HAProxy, kubelet)."""
    for profile in profiles:
        if profile.probe.policy == policy and profile.probe.healthy_status:
            first, _, last = profile.probe.healthy_status.value.partition("-")
            return int(first), int(last or first)
    return (200, 200) if policy == "gcp" else (200, 399)
