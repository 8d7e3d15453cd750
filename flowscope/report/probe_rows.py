"""Probes as the report's objects: one row per member and prober, with the member's state over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from flowscope.report.safe_text import safe_unicode
from flowscope.report.times import SECOND, rfc3339_text

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.probes.asked import Key
    from flowscope.probes.reconfigured import Setting
    from flowscope.probes.replay import Change, Health

Probed = tuple[int, int]
"""Address number and port of what is probed."""

_CHANGE = pl.Struct({
    "time": pl.String, "state": pl.String, "reason": pl.String,
    "earliest": pl.String, "latest": pl.String, "sure": pl.Boolean,
})  # fmt: skip
_COLUMNS: dict[str, type[pl.DataType] | pl.DataType] = {
    "member": pl.String,
    "name": pl.String,
    "source": pl.String,
    "protocol": pl.String,
    "policy": pl.String,
    "policy_by": pl.String,
    "pools": pl.List(pl.String),
    "interval_s": pl.Float64,
    "per_minute": pl.Float64,
    "member_per_minute": pl.Float64,
    "sent": pl.Int64,
    "succeeded": pl.Int64,
    "failed": pl.Int64,
    "latency_ms": pl.Float64,
    "latency_rank": pl.Int64,
    "known_by": pl.String,
    "notes": pl.List(pl.String),
    "timeline": pl.List(_CHANGE),
}


def probe_rows(analysis: Analysis) -> Iterator[pl.DataFrame]:
    """All rows in one slice: members and probers are few."""
    ranks = latency_ranks(analysis)
    rates = member_rates(analysis)
    rows = [
        _row(analysis, health)
        | {
            "member_per_minute": rates[health.series.member, health.series.port][1] or None,
            "latency_rank": ranks.get(health.series.key),
        }
        for health in analysis.health
    ]
    yield pl.DataFrame(rows, schema=pl.Schema(_COLUMNS), orient="row")


def endpoint(analysis: Analysis, health: Health) -> str:
    """The probed endpoint: ``10.0.0.4:8080``."""
    text = str(analysis.addresses["text"][health.series.member])
    return f"[{text}]:{health.series.port}" if ":" in text else f"{text}:{health.series.port}"


def latency_ms(health: Health) -> float | None:
    """Median latency of the good probes: what a balancer that prefers fast members compares."""
    median = health.readings.filter(pl.col("result") == "good")["latency_ns"].median()
    return None if median is None else round(float(str(median)) / 1e6, 3)


def per_minute(health: Health) -> float | None:
    """How many probes a minute the member gets from this prober; None for a single one."""
    times = health.readings["sent_ns"]
    lasted = int(str(times.max())) - int(str(times.min()))
    return round((times.len() - 1) * 60 * SECOND / lasted, 2) if lasted else None


def member_rates(analysis: Analysis) -> dict[Probed, tuple[int, float]]:
    """Per probed endpoint how many probers ask it, and how many probes a minute it gets from them together."""
    rates: dict[Probed, list[float]] = {}
    for health in analysis.health:
        own = rates.setdefault((health.series.member, health.series.port), [])
        own.append(per_minute(health) or 0.0)
    return {end: (len(own), round(sum(own), 2)) for end, own in rates.items()}


def latency_ranks(analysis: Analysis) -> dict[Key, int]:
    """How each prober ranks the members that are up at the end, by the latency of their probes: 1 is the fastest.

    Front Door compares latency among the healthy only; with none of them up it uses all in turn, and nothing ranks.
    """
    compared: dict[tuple[object, ...], list[tuple[float, Key]]] = {}
    for health in analysis.health:
        one, latency = health.series, latency_ms(health)
        if latency is not None and health.timeline and health.timeline[-1].state == "up":
            compared.setdefault((one.source, one.pools or one.port), []).append((latency, one.key))
    return {
        key: place
        for members in compared.values()
        if len(members) > 1
        for place, (_, key) in enumerate(sorted(members), 1)
    }


def notes(analysis: Analysis, health: Health) -> list[str]:
    """What a reader must know of these probes: what cannot be read, and for whom else they are sent."""
    one, readings = health.series, health.readings
    found = []
    if one.asked != one.member:
        found.append(f"sent to {analysis.addresses['text'][one.asked]}, which it shares with other hosts")
    elif one.point is not None:
        found.append(f"several hosts have this address: this is the one seen at {point_name(analysis, one.point)}")
    if one.wants is not None:
        found.append(f"asks for {safe_unicode(one.wants)}; its prober asks for others in turn")
    found += changes_of_setting(one.settings)
    unread = readings.filter(pl.col("result") == "unknown").height
    if one.protocol == "https" and not readings["status"].drop_nulls().len():
        found.append("status not visible (TLS)")
    elif unread:
        found.append(f"what {unread:,} of them got cannot be read: frames were cut or overwritten, or are missing")
    asking = [pool.probe for pool in analysis.topology.pools if pool.name in one.pools]
    if any(probe != asking[0] for probe in asking):
        named = ", ".join(safe_unicode(pool) for pool in one.pools)
        found.append(
            f"pools {named} ask from one address at one port: whose a probe is does not show, and these states are by "
            f"the settings of {safe_unicode(one.pools[0])}; each pool's own state is by its own"
        )
    return found


def changes_of_setting(settings: Sequence[Setting]) -> list[str]:
    """How the prober asked otherwise from a moment on: set up anew, or slower while the member was down."""
    if not settings:
        return []
    parts = []
    paced = len({one.interval_ns for one in settings}) > 1
    asked = len({one.target for one in settings}) > 1
    for one in settings:
        every = f"every {one.interval_ns / SECOND:.3g} s " if paced and one.interval_ns else ""
        path = f"for {safe_unicode(one.target)} " if asked and one.target else ""
        parts.append(f"{every}{path}from {rfc3339_text(one.first_ns)} to {rfc3339_text(one.last_ns)}")
    return [f"asked {', then '.join(parts)}"]


def point_name(analysis: Analysis, number: int) -> str:
    """The label of a point."""
    return safe_unicode(next(one.name for one in analysis.points if one.number == number))


def _row(analysis: Analysis, health: Health) -> dict[str, Any]:
    one, text = health.series, str(analysis.addresses["text"][health.series.member])
    name = analysis.topology.name_of(text, one.port)
    return {
        "member": endpoint(analysis, health),
        "name": None if name is None else safe_unicode(name),
        "source": str(analysis.addresses["text"][one.source]),
        "protocol": one.protocol,
        "policy": one.policy,
        "policy_by": one.policy_by,
        "pools": [safe_unicode(pool) for pool in one.pools],
        "interval_s": round(one.latest_interval_ns / SECOND, 3),
        "per_minute": per_minute(health),
        "sent": health.sent,
        "succeeded": health.succeeded,
        "failed": health.failed.height,
        "latency_ms": latency_ms(health),
        "known_by": one.by,
        "notes": notes(analysis, health),
        "timeline": [_change(change) for change in health.timeline],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "time": rfc3339_text(change.time_ns),
        "state": change.state,
        "reason": change.reason,
        "earliest": None if change.earliest_ns is None else rfc3339_text(change.earliest_ns),
        "latest": None if change.latest_ns is None else rfc3339_text(change.latest_ns),
        "sure": change.sure,
    }
