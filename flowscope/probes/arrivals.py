"""New connections at members: what the balancer makes of its decision shows in who gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from flowscope.window import Window


def arrivals(window: Window) -> pl.DataFrame:
    """New connections at members: ``path``, ``member``, ``port``, ``client`` and ``at_ns`` of the first SYN there."""
    paths = window.judgeable.join(window.members_frame, ["backend", "backend_port"], how="semi")
    legs = paths.select("path", leg=pl.col("last_leg").cast(pl.UInt64))
    flows = window.flows.filter(pl.col("fwd_syns") > 0).select(pl.col("leg").cast(pl.UInt64), "at_ns")
    first = flows.join(legs, "leg").group_by("path").agg(pl.col("at_ns").min())
    came = paths.select("path", "client", member="backend", port="backend_port")
    return came.join(first, "path").sort("at_ns", "path")
