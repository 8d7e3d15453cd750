"""Segments that may be too large for a link on the way: sent again and again, and never acknowledged."""

from __future__ import annotations

import polars as pl

from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

#: Every link carries segments of less than this (IPv4 hosts must take 576 bytes: RFC 791, section 3.1).
LARGE_BYTES = 537
_RETRANSMISSION = EVENT_KINDS.index("retransmission")
#: Repeats of one segment that are no echo of a duplicate capture lie at least so far apart.
_APART_NS = 50_000_000


def oversized(window: Window) -> pl.DataFrame:
    """Large segments that were repeated and never acknowledged, by nobody who gave up or had no room.

    Returns:
        Columns ``flow``, ``leg``, ``point``, ``half``, ``seq``, ``length`` (bytes), ``last_ns`` (last repeat, reference
        clock); no columns at all when there are none.
    """
    repeated = (
        window.events.filter(pl.col("kind") == _RETRANSMISSION, pl.col("length") >= LARGE_BYTES)
        .group_by("flow", "leg", "point", "half", "seq")
        .agg(
            pl.col("length").max(),
            tries=(pl.col("at_ns") // _APART_NS).n_unique(),
            last_ns=pl.col("at_ns").max(),
        )
        .filter(pl.col("tries") >= 3)
    )
    if not repeated.height:
        return pl.DataFrame()
    columns = ("last_ack", "resets", "zero_windows", "packets")
    flows = window.flows.select("flow", *(f"{half}_{name}" for half in ("fwd", "rev") for name in columns))
    peer = {name: pl.when(pl.col("half") == 0).then(f"rev_{name}").otherwise(f"fwd_{name}") for name in columns}
    passed = (peer["last_ack"].cast(pl.Int64) - pl.col("seq").cast(pl.Int64)) % 2**32
    return (
        repeated.join(flows, "flow")
        .filter(
            peer["packets"] > 0,
            peer["resets"] == 0,
            peer["zero_windows"] == 0,
            ((passed == 0) | (passed >= 2**31)).fill_null(value=False),
        )
        .select("flow", "leg", "point", "half", "seq", "length", "last_ns")
    )
