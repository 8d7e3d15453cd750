"""Calls that go on where a prober's probes end: it asks at another port, or for another path, from a moment on.

The address alone does not say so, as a proxy probes from where it forwards. That the probes end, and calls at an even
pace with one request begin in their stead (or the other way round), does.
"""

from __future__ import annotations

import polars as pl

from flowscope.probes.shape import paced

_END = ["client", "backend"]
_SERIES = [*_END, "backend_port"]
#: What begins so many intervals after the other ended is its continuation.
_INTERVALS = 3


def continued(probes: pl.DataFrame, others: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """Of other calls of a prober to the same members those that its probes turned into, or grew out of.

    Args:
        probes: paths that are known to be its probes.
        others: paths of the same prober that are not.
        targets: what was asked for, as ``path`` and ``target``.
    """
    even = paced(others)
    if not probes.height or not even.height:
        return others.clear()
    said = even.join(targets, "path", how="left")
    pause = pl.col("first_ns").sort().diff().median()
    spans = probes.group_by(_END).agg(start=pl.col("first_ns").min(), end=pl.col("first_ns").max(), pause=pause)
    own = said.group_by(_SERIES).agg(
        first=pl.col("first_ns").min(),
        last=pl.col("first_ns").max(),
        pace=pl.col("pace_ns").first(),
        asked=pl.col("target").drop_nulls().n_unique(),
    )
    near = _INTERVALS * pl.max_horizontal("pace", "pause")
    after = (pl.col("first") - pl.col("end")).is_between(0, near)
    before = (pl.col("start") - pl.col("last")).is_between(0, near)
    series = own.join(spans, _END).filter(pl.col("asked") <= 1, after | before)
    return others.join(series.select(_SERIES), _SERIES, how="semi", maintain_order="left")
