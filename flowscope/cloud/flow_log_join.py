"""Which leg each record of a flow log is about: same tuple, nearest in time.

A log has the tuple as the member's interface sees it, behind the balancer's translation; so it joins with the leg that
has this tuple, at whatever point that leg was captured. Tuples are used again within seconds: a record goes to the
nearest of them, and only when it is near enough.
"""

from __future__ import annotations

import polars as pl

from flowscope.cloud.flow_log import SECOND, FlowLog
from flowscope.window import Window

#: Clouds write in batches of a minute and their clocks are not the captures'.
SLACK_NS = 90 * SECOND

_TIMES = ["start_ns", "end_ns", "first_ns", "last_ns"]
_TUPLE = ["protocol", "src", "src_port", "dst", "dst_port"]

JOINED = {"record": pl.UInt32, "leg": pl.Int64, "reply": pl.Boolean}
"""Columns of :func:`join_flow_log`: row number of the record, the leg, and whether the record counts its answers."""


def join_flow_log(window: Window, log: FlowLog) -> pl.DataFrame:
    """The leg of every record that has one.

    Args:
        window: the captures' legs and flows.
        log: the records.

    Returns:
        Columns :data:`JOINED`; a record stands there at most once.
    """
    legs = _legs(window)
    records = log.records.with_row_index("record")
    known = records.filter(pl.col("src_port").is_not_null(), pl.col("start_ns").is_not_null())
    mirrored = known.rename({"src": "dst", "dst": "src", "src_port": "dst_port", "dst_port": "src_port"})
    both = pl.concat([
        side.join(legs, _TUPLE).select("record", "leg", *_TIMES, reply=pl.lit(reply))
        for side, reply in ((known, False), (mirrored, True))
    ])  # fmt: skip
    before, after = pl.col("first_ns") - pl.col("end_ns"), pl.col("start_ns") - pl.col("last_ns")
    near = both.with_columns(
        gap=pl.max_horizontal(before, after, pl.lit(0)), apart=(pl.col("first_ns") - pl.col("start_ns")).abs()
    ).filter(pl.col("gap") <= SLACK_NS)
    return (
        near.sort("record", "gap", "reply", "apart", "leg")
        .unique("record", keep="first", maintain_order=True)
        .select(pl.col("record"), pl.col("leg").cast(pl.Int64), pl.col("reply"))
    )


def _legs(window: Window) -> pl.DataFrame:
    """Legs with their ends as text and the time they were seen in."""
    text = window.addresses.select(pl.col("address"), pl.col("text"))
    times = window.flows.group_by("leg").agg(
        first_ns=pl.col("at_ns").min(), last_ns=(pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns")).max()
    )
    legs = window.legs.join(times, "leg").with_columns(
        pl.col(name).cast(pl.Int64) for name in ("src_port", "dst_port", "protocol")
    )
    for side in ("src", "dst"):
        legs = legs.join(text, left_on=side, right_on="address").drop(side).rename({"text": side})
    return legs.select("leg", *_TUPLE, "first_ns", "last_ns")
