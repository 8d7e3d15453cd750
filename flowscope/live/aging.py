"""Which flows leave a window of live traffic: closed ones after a while, the oldest when there are too many.

Flows leave by whole paths: half a path would look like a fault. Probes stay longer, as they are few and a prober's view
of a member takes many of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from flowscope.analysis import Analysis

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a window holds."""

    flows: int = 50_000
    """Never more than this, however young."""
    few: int = 5_000
    """So many are held however old they are."""
    closed_s: float = 60.0
    """Closed connections leave after this long."""
    silent_s: float = 900.0
    """Open ones that are silent leave after this long."""
    probes: int = 2_000
    """Flows of probes that are spared from aging."""
    findings: int = 5_000
    """Of more, those whose flows have left are dropped, the mildest and oldest first."""


def limits_for(flows: int) -> Limits:
    """The limits of a window that holds at most so many flows."""
    usual = Limits()
    few, probes, findings = min(usual.few, flows // 2), min(usual.probes, flows // 4), max(100, flows // 10)
    return replace(usual, flows=flows, few=few, probes=probes, findings=findings)


@dataclass(frozen=True, slots=True)
class Leaving:
    """What leaves."""

    flows: pl.Series
    """Rows of the window's flow table."""
    paths: frozenset[int]
    closed_ns: int
    """Closed flows that are older may be forgotten."""
    silent_ns: int
    """Open ones that are older may be forgotten."""
    forced: bool
    """The limit was reached: flows leave that are not old."""


def leaving(analysis: Analysis, now_ns: int, limits: Limits) -> Leaving | None:
    """The flows that leave the window after it was judged, None when all may stay.

    Args:
        analysis: of the window.
        now_ns: the capture time that was reached.
        limits: of the window.
    """
    height = analysis.flows.height
    if height <= limits.few:
        return None
    flows = _with_path_ages(analysis)
    probes = pl.Series([path for health in analysis.health for path in health.readings["path"]], dtype=pl.UInt64)
    spared = flows.filter(pl.col("path").is_in(probes.implode())).sort("until_ns", descending=True)["flow"]
    spared = spared.unique(maintain_order=True).head(limits.probes)
    per_flow = flows.group_by("flow").agg(pl.col("until_ns").max(), pl.col("closed").all()).sort("until_ns", "flow")
    closed_ns, silent_ns = now_ns - int(limits.closed_s * SECOND), now_ns - int(limits.silent_s * SECOND)
    old = (pl.col("until_ns") < pl.when("closed").then(closed_ns).otherwise(silent_ns)) & ~pl.col("flow").is_in(
        spared.implode()
    )
    gone = per_flow.filter(old).head(height - limits.few)
    forced = height - gone.height > limits.flows
    if forced:
        # A tenth more, so that it does not happen at every look.
        most = per_flow["until_ns"][height - limits.flows + limits.flows // 10]
        gone = per_flow.filter(pl.col("until_ns") <= most)
        closed_ns = silent_ns = max(closed_ns, most + 1)
    if not gone.height:
        return None
    left = flows.filter(~pl.col("flow").is_in(gone["flow"].implode()))["path"]
    paths = set(flows["path"].drop_nulls()) - set(left.drop_nulls())
    return Leaving(gone["flow"].sort(), frozenset(paths), closed_ns, silent_ns, forced)


def _with_path_ages(analysis: Analysis) -> pl.DataFrame:
    """Flows with their ``path`` (several rows when in several), and the end and state of that path."""
    of_leg = analysis.legs.select("leg", flow="flows").explode("flow")
    of_path = analysis.paths.select("path", leg="legs").explode("leg").join(of_leg, "leg")
    own = analysis.flows.select("flow", "last_ns", closed=~pl.col("open"))
    rows = own.join(of_path.select("path", "flow"), "flow", how="left")
    alone = pl.col("path").is_null()
    last, closed = pl.col("last_ns").max().over("path"), pl.col("closed").all().over("path")
    return rows.with_columns(
        until_ns=pl.when(alone).then("last_ns").otherwise(last), closed=pl.when(alone).then("closed").otherwise(closed)
    )
