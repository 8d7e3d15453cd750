"""What a capture missed of a probe, by its sequence numbers: unseen is not unsent.

A busy capture loses frames that the wire did not. Whoever acknowledges a byte had it, and a FIN stands behind all that
was sent before it; so numbers that go beyond what was captured tell the capture's gaps from a member's silence.
"""

from __future__ import annotations

import polars as pl

from flowscope.probes.asked import SERIES

_ROOM = 2**32


def wrapped(distance: pl.Expr) -> pl.Expr:
    """A distance between two sequence numbers: negative where the first is behind the second (RFC 9293, 3.4)."""
    around = distance % _ROOM
    return pl.when(around >= _ROOM // 2).then(around - _ROOM).otherwise(around)


def with_gaps(flows: pl.DataFrame) -> pl.DataFrame:
    """Adds to probes' flows what their sequence numbers tell.

    ``rev_end``: the number after the answer as captured.
    ``lossy``: the capture missed frames of either side.
    ``gappy``: of what the member sent, something is missing, or the prober acknowledged more than was captured.
    ``cut``: of what the member sent, the snap length hides something. Lengths and numbers stand in headers: who sent
    nothing sent nothing in a cut capture, too.
    ``asked_cut``: of what the prober sent, likewise.
    ``went_on``: the handshake was completed, though the capture may have missed how.
    """
    flows = flows.with_columns(
        rev_end=(pl.col("rev_isn").cast(pl.Int64) + 1 + pl.col("rev_covered_bytes").cast(pl.Int64)) % _ROOM
    )
    beyond = wrapped(pl.col("fwd_last_ack").cast(pl.Int64) - pl.col("rev_end"))
    unseen = beyond > (pl.col("rev_fins") > 0).cast(pl.Int64)
    headless = pl.col("rev_isn").is_null()
    missed = (pl.col("rev_missing_bytes") > 0) | (pl.col("fwd_acked_unseen") > 0) | unseen
    own = (pl.col("fwd_missing_bytes") > 0) | (pl.col("rev_acked_unseen") > 0)
    # More than SYNs and RSTs from the prober, or an answer to more: one side was in the middle of a connection.
    spoke = pl.col("fwd_packets") > pl.col("fwd_syns") + pl.col("fwd_resets")
    taken = wrapped(pl.col("rev_last_ack").cast(pl.Int64) - pl.col("fwd_isn").cast(pl.Int64)) > 1
    # To answer a SYN-ACK with a RST that acknowledges it is to take it, and to close.
    took = (pl.col("rev_syns") > 0) & (
        wrapped(pl.col("fwd_last_ack").cast(pl.Int64) - pl.col("rev_isn").cast(pl.Int64)) >= 1
    )
    more = spoke | taken | took
    return flows.with_columns(
        lossy=(missed | own | (headless & (pl.col("rev_packets") > 0))).fill_null(value=False),
        gappy=(missed | headless).fill_null(value=True),
        cut=pl.col("rev_truncated") > 0,
        asked_cut=pl.col("fwd_truncated") > 0,
        went_on=(more | (pl.col("rev_payload_bytes") > 0) | (pl.col("rev_fins") > 0)).fill_null(value=False),
    )


def missed_answers(readings: pl.DataFrame) -> pl.DataFrame:
    """Takes back ``unanswered`` where the capture's own loss explains it as well.

    A SYN that was seen once, at one point, between probes that were answered, in a series of which frames are missing.
    Several in a row, a repeated SYN or a second point say more than loss does.
    """
    readings = readings.sort("sent_ns", "path")
    lost = pl.col("how").is_in(["unanswered", "answer-lost"])
    beside = lost.shift(1).over(SERIES) | lost.shift(-1).over(SERIES)
    alone = ~beside.fill_null(value=False) & (pl.col("syn_copies") == 1) & pl.col("lossy").any().over(SERIES)
    return readings.with_columns(
        how=pl.when((pl.col("how") == "unanswered") & alone).then(pl.lit("unknown")).otherwise("how")
    )
