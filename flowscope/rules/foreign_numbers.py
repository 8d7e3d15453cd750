"""SYNs that met an older connection of their tuple: the peer answers a bare ACK with the old connection's numbers."""

from __future__ import annotations

import polars as pl

from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

_SYN, _SYN_ACK, _RST, _FIN, _CHALLENGE = (
    EVENT_KINDS.index(kind) for kind in ("syn", "syn-ack", "rst", "fin", "challenge-ack")
)
_TUPLE = ("protocol", "src", "src_port", "dst", "dst_port")


def challenged(window: Window) -> pl.DataFrame:
    """Legs whose SYN was answered with a challenge ACK (RFC 5961, section 4.2).

    Columns: ``leg``, ``at_ns`` (of the first such ACK), ``acks`` (their acknowledgement numbers), ``reset`` (the
    initiator reset with one of these numbers), ``waited_ns`` (first SYN to SYN-ACK, null when none came).
    """
    answers = window.events.filter(pl.col("kind") == _CHALLENGE, pl.col("half") == 1)
    if not answers.height:
        return pl.DataFrame(
            schema={"leg": pl.UInt64, "at_ns": pl.Int64, "acks": pl.List(pl.UInt32), "reset": pl.Boolean}
        )
    legs = answers.group_by("leg", maintain_order=True).agg(pl.col("at_ns").min(), acks=pl.col("ack").unique())
    resets = (
        window.events.filter(pl.col("kind") == _RST, pl.col("half") == 0, pl.col("leg").is_in(legs["leg"].implode()))
        .join(legs, "leg")
        .filter(pl.col("seq").is_in(pl.col("acks")))["leg"]
        .unique()
    )
    return legs.with_columns(reset=pl.col("leg").is_in(resets.implode()))


def older(window: Window, later: pl.DataFrame) -> pl.DataFrame:
    """Pairs of a leg and each older leg of the same tuple.

    Args:
        window: what is judged.
        later: ``leg``, ``at_ns`` (when it met the old one), ``acks``.

    Returns:
        ``leg``, ``old_leg``, ``fits`` (an ACK has a number of the old initiator), ``closed`` (the old leg had ended
        before).
    """
    legs = window.legs.select("leg", *_TUPLE, "at_ns", "fwd_isn")
    tuples = later.join(legs.select("leg", *_TUPLE), "leg")
    pairs = tuples.join(
        legs.rename({"leg": "old_leg", "at_ns": "old_ns"}).join(tuples.select(_TUPLE).unique(), list(_TUPLE), "semi"),
        list(_TUPLE),
    ).filter(pl.col("old_leg") != pl.col("leg"), pl.col("old_ns") < pl.col("at_ns"))
    of_old = pl.col("leg").is_in(pairs["old_leg"].unique().implode())
    sent = (
        window.flows.lazy()
        .select("leg", "fwd_base_seq", "fwd_next_seq")
        .filter(of_old)
        .group_by("leg")
        .agg(pl.col("fwd_base_seq").drop_nulls().first(), pl.col("fwd_next_seq").drop_nulls().first())
        .collect()
    )
    pairs = pairs.join(sent, left_on="old_leg", right_on="leg", how="left")
    ends = window.events.filter(pl.col("kind").is_in((_RST, _FIN)), of_old)
    ends = ends.select(old_leg="leg", end_ns="at_ns", kind="kind", half="half").join(
        pairs.select("leg", "old_leg", "at_ns"), "old_leg"
    )
    closed = (
        ends.filter(pl.col("end_ns") < pl.col("at_ns"))
        .group_by("leg", "old_leg")
        .agg(
            closed=(pl.col("kind") == _RST).any()
            | (pl.col("half").filter(pl.col("kind") == _FIN).n_unique() == 2)
        )
    )  # fmt: skip
    base = pl.col("fwd_base_seq").cast(pl.Int64)
    # One more than the data: the FIN has a number of its own.
    span = (pl.col("fwd_next_seq").cast(pl.Int64) - base) % 2**32 + 1
    offset = (pl.col("ack").cast(pl.Int64) - base) % 2**32
    fitting = (
        pairs.explode("acks")
        .rename({"acks": "ack"})
        .group_by("leg", "old_leg", maintain_order=True)
        .agg(fits=(offset <= span).fill_null(value=False).any())
    )
    return fitting.join(closed, ["leg", "old_leg"], how="left", maintain_order="left").with_columns(
        pl.col("closed").fill_null(value=False)
    )


def delay_ns(window: Window, leg: int) -> int | None:
    """How long a connection waited for its SYN-ACK: from the first SYN of the leg; None when none came."""
    events = window.events.filter(pl.col("leg") == leg, pl.col("kind").is_in((_SYN, _SYN_ACK)))
    asked = events.filter(pl.col("kind") == _SYN)["at_ns"].min()
    answered = events.filter(pl.col("kind") == _SYN_ACK)["at_ns"].max()
    return answered - asked if isinstance(asked, int) and isinstance(answered, int) else None
