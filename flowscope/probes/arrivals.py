"""New connections at members: what the balancer makes of its decision shows in who gets them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from flowscope.probes.held import at_members

if TYPE_CHECKING:
    from flowscope.window import Window

End = tuple[int, int]
"""Address number and port."""
RETRIED_NS = 500_000_000
"""A connection that reached a member so long after its first SYN was refused one at first."""


def arrivals(window: Window) -> pl.DataFrame:
    """New connections at members: ``path``, ``member``, ``port``, ``client`` and ``at_ns`` of the first SYN there."""
    paths = at_members(window.judgeable, window.held).join(
        window.members_frame, ["backend", "backend_port"], how="semi"
    )
    legs = paths.select("path", leg=pl.col("last_leg").cast(pl.UInt64))
    flows = window.flows.filter(pl.col("fwd_syns") > 0).select(pl.col("leg").cast(pl.UInt64), "at_ns")
    first = flows.join(legs, "leg").group_by("path").agg(pl.col("at_ns").min())
    came = paths.select("path", "client", member="backend", port="backend_port")
    return came.join(first, "path").sort("at_ns", "path")


def called(window: Window, frontends: Iterable[End]) -> pl.DataFrame:
    """Connections to frontends: ``path``, ``outcome``, ``asked_ns`` (the first SYN) and ``at_ns`` (at a member)."""
    ends = pl.DataFrame(list(frontends), schema={"dst": pl.UInt32, "dst_port": pl.UInt16}, orient="row")
    legs = window.legs.join(ends, ["dst", "dst_port"], how="semi").select(pl.col("leg").cast(pl.UInt64))
    asked = window.judgeable.with_columns(leg=pl.col("first_leg").cast(pl.UInt64)).join(legs, "leg", how="semi")
    asked = asked.filter(pl.col("outcome") != "unknown").select("path", "outcome", asked_ns="first_ns")
    return asked.join(arrivals(window).select("path", "at_ns"), "path", how="left").sort("asked_ns", "path")
