"""Several probes that come from one address to one port, each for a path of its own: two rules of a balancer do that.

Taken for one they have no pace, and a member that fails one of them goes up and down with every probe. What got no
answer to its SYN asked for nothing: it is the probe's that was due just then.
"""

from __future__ import annotations

import polars as pl

from flowscope.probes.reconfigured import in_turn
from flowscope.probes.rhythm import missing_beats

WANTS = {"path": pl.UInt64, "sent_ns": pl.Int64, "wants": pl.String}
"""Columns of :func:`wanted`."""


def wanted(series: pl.DataFrame) -> pl.DataFrame:
    """Of one series that asks for several paths in turn, which one each probe is for; empty where it does not.

    Args:
        series: its probes, with ``path``, ``sent_ns`` and ``target``.
    """
    none = pl.DataFrame(schema=WANTS)
    ordered = series.sort("sent_ns", "path")
    if not in_turn(ordered["target"].to_list()):
        return none
    told = ordered.drop_nulls("target")
    own = told.group_by("target", maintain_order=True).agg("sent_ns")
    strays = ordered.filter(pl.col("target").is_null())
    meant = missing_beats(own["sent_ns"].to_list(), strays["sent_ns"].to_list())
    due = strays.filter(pl.col("sent_ns").is_in(list(meant)))
    due = due.with_columns(wants=pl.Series([own["target"][meant[at]] for at in due["sent_ns"]], dtype=pl.String))
    both = [told.select("path", "sent_ns", wants="target"), due.select("path", "sent_ns", "wants")]
    return pl.concat(both).cast(pl.Schema(WANTS))
