"""Translated connections that went on, after a pause, at one side of the translator only.

A pass-through translator keeps sequence numbers, so how far each side of a connection came can be compared number by
number. What is at the near side and never at the far one, after a pause and while the far side's points went on
capturing, was not forwarded.
"""

from __future__ import annotations

import polars as pl

from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

#: Shorter pauses are the gaps between a segment and its repeats, or the rhythm of a transfer.
_PAUSE_NS = 1_000_000_000
#: No transfer gets farther without an answer than a scaled window.
_WINDOW_BYTES = 1 << 24
#: Of so many segments with data per flow and half there are events, at most.
_KEPT_SEGMENTS = 4
#: Kinds of events in which a side sends something new or again.
SENT = [EVENT_KINDS.index(kind) for kind in ("data", "fin", "retransmission")]

ADDED = {
    "how": pl.String,
    "idle_ns": pl.Int64,
    "again_ns": pl.Int64,
    "repeats": pl.Int64,
    "pool_kept": pl.Boolean,
}
"""Columns that :func:`forgotten` adds to those of ``judgeable``: how it went on, the pause, when it ended (reference
clock), repeats of what got lost, and whether the old member still got new connections afterwards."""


def forgotten(window: Window) -> pl.DataFrame:
    """Paths whose translator forgot them in a pause."""
    paths = window.judgeable.filter(pl.col("legs").list.len() > 1, ~pl.col("method").str.starts_with("proxy"))
    if not paths.height:
        return window.judgeable.head(0).with_columns(pl.lit(None, kind).alias(name) for name, kind in ADDED.items())
    moved = _rebalanced(window, paths)
    rest = paths.filter(~pl.col("first_leg").is_in(moved["first_leg"].implode()))
    columns = [*window.judgeable.columns, *ADDED]
    return pl.concat([moved.select(columns), _stuck(window, rest).select(columns)])


def _progress(window: Window, legs: pl.Series) -> pl.DataFrame:
    """How far each leg came: highest numbers, last packet on the reference clock, repeats and resets."""
    ended = pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns")
    return (
        window.flows.filter(pl.col("leg").is_in(legs.implode()))
        .group_by("leg")
        .agg(
            pl.col("at_ns").min(),
            ended.max().alias("end_ns"),
            pl.col("fwd_next_seq", "rev_next_seq", "rev_last_ack").cast(pl.Int64).max(),
            pl.col("fwd_isn", "rev_isn", "rev_resets").max(),
            repeats=(pl.col("fwd_retransmissions").cast(pl.Int64) - pl.col("fwd_duplicates").cast(pl.Int64)).max(),
            data_ns=(pl.col("at_ns") + pl.col("fwd_last_data_ns") - pl.col("first_ns")).max(),
            points=pl.col("point").unique(),
        )
    )


def _rebalanced(window: Window, paths: pl.DataFrame) -> pl.DataFrame:
    """Paths that share their first leg: the later server leg starts in mid-connection after a pause of the earlier."""
    several = paths.filter(pl.col("first_leg").is_duplicated())
    reach = _progress(window, several["last_leg"])
    several = several.join(
        reach.select("leg", "at_ns", "end_ns", bare=pl.col("fwd_isn").is_null() & pl.col("rev_isn").is_null()),
        left_on="last_leg",
        right_on="leg",
        maintain_order="left",
    )
    old = several.filter(~pl.col("bare")).select("first_leg", "end_ns", old="backend", old_port="backend_port")
    new = several.filter("bare").select("first_leg", "at_ns", new="backend")
    met = (
        old.join(new, "first_leg")
        .filter(pl.col("old") != pl.col("new"))
        .with_columns(idle_ns=pl.col("at_ns") - pl.col("end_ns"))
        .filter(pl.col("idle_ns") >= _PAUSE_NS)
        .unique("first_leg", keep="first", maintain_order=True)
    )
    opened = window.legs.filter(pl.col("fwd_isn").is_not_null()).group_by("dst", "dst_port").agg(
        pl.col("at_ns").max().alias("opened_ns")
    )  # fmt: skip
    met = met.join(opened, left_on=["old", "old_port"], right_on=["dst", "dst_port"], how="left", maintain_order="left")
    found = several.drop("at_ns", "end_ns", "bare").join(met.drop("end_ns"), "first_leg", maintain_order="left")
    return found.with_columns(
        how=pl.lit("rebalanced"),
        again_ns="at_ns",
        repeats=pl.lit(0, pl.Int64),
        pool_kept=(pl.col("opened_ns") > pl.col("at_ns")).fill_null(value=False),
    )


def _stuck(window: Window, paths: pl.DataFrame) -> pl.DataFrame:
    """Paths whose client went on after a pause, and the server leg did not."""
    reach = _progress(window, pl.concat([paths["first_leg"], paths["last_leg"]]).unique())
    far = reach.select(
        "leg",
        "end_ns",
        far_next="fwd_next_seq",
        far_answer="rev_next_seq",
        far_resets="rev_resets",
        far_points="points",
    )
    both = paths.join(
        reach.select("leg", "fwd_next_seq", "rev_next_seq", "rev_last_ack", "rev_resets", "repeats", "data_ns"),
        left_on="first_leg",
        right_on="leg",
        maintain_order="left",
    ).join(far, left_on="last_leg", right_on="leg", maintain_order="left")
    ahead = (pl.col("fwd_next_seq") - pl.col("far_next")) % 2**32
    # What was answered or acknowledged did get through: then the far side's capture lost it.
    acked = (pl.col("rev_last_ack") - pl.col("far_next")) % 2**32
    came_back = (pl.col("rev_next_seq") - pl.col("far_answer")) % 2**32
    both = both.filter(
        (ahead > 0) & (ahead < _WINDOW_BYTES),
        pl.col("data_ns") >= pl.col("end_ns") + _PAUSE_NS,
        ~((came_back > 0) & (came_back < _WINDOW_BYTES)).fill_null(value=False),
        ~((acked > 0) & (acked < _WINDOW_BYTES) & (pl.col("rev_resets") == 0)).fill_null(value=False),
    )
    # When the client went on: the first segment that the far side lacks, as far as events tell.
    flows = window.flows.filter(pl.col("leg").is_in(both["first_leg"].implode())).select("flow", "leg")
    sent = (
        window.events.filter(
            pl.col("leg").is_in(flows["leg"].unique().implode()),
            pl.col("half") == 0,
            pl.col("kind").is_in(SENT),
        )
        .select("leg", "at_ns", "seq")
        .join(both.select("first_leg", "far_next"), left_on="leg", right_on="first_leg")
        .filter(((pl.col("seq").cast(pl.Int64) - pl.col("far_next")) % 2**32) < _WINDOW_BYTES)
        .group_by("leg")
        .agg(pl.col("at_ns").min().alias("sent_ns"))
    )
    both = both.join(sent, left_on="first_leg", right_on="leg", how="left", maintain_order="left").with_columns(
        again_ns=pl.min_horizontal("sent_ns", "data_ns")
    )
    both = both.with_columns(
        idle_ns=pl.col("again_ns") - pl.col("end_ns"),
        how=pl.when((pl.col("rev_resets") > 0) & (pl.col("far_resets") == 0))
        .then(pl.lit("reset"))
        .otherwise(pl.lit("silent")),
        pool_kept=pl.lit(value=True),
    )
    # The far side's points must still have been capturing: one packet of anything there, later than the lost one.
    ends = {point: place.last_ns for point, place in window.places.items()}
    alive = (
        pl.col("far_points").list.eval(pl.element().replace_strict(ends, default=0, return_dtype=pl.Int64)).list.min()
    )
    answered = (pl.col("how") == "silent") & (pl.col("rev_resets") > 0)
    both = both.filter(pl.col("idle_ns") >= _PAUSE_NS, alive > pl.col("again_ns"), ~answered)
    return both.filter(~pl.col("last_leg").is_in(_met_again(window, both["last_leg"]).implode()))


def _met_again(window: Window, legs: pl.Series) -> pl.Series:
    """Those of the legs whose tuple carried another connection too: what came after the pause may be in that one."""
    ends = ["src", "src_port", "dst", "dst_port"]
    own = window.legs.filter(pl.col("leg").is_in(legs.implode())).select("leg", *ends)
    others = window.legs.select(*ends, other="leg")
    return own.join(others, ends).filter(pl.col("other") != pl.col("leg"))["leg"].unique()


def held_longer(window: Window, paths: pl.DataFrame, frontend: int, port: int) -> int:
    """Connections through the same frontend that crossed it again after a pause at least as long, as events tell.

    Args:
        window: what is judged.
        paths: those that were forgotten, with ``idle_ns``.
        frontend: its address number.
        port: its port.
    """
    through = window.judgeable.filter(
        pl.col("frontend") == frontend,
        pl.col("frontend_port") == port,
        pl.col("legs").list.len() > 1,
        ~pl.col("first_leg").is_in(paths["first_leg"].implode()),
    )
    events = window.events.filter(pl.col("leg").is_in(through["last_leg"].unique().implode())).sort("flow", "at_ns")
    data = (pl.col("kind") == EVENT_KINDS.index("data")) & (pl.col("half") == 0)
    # Events leave out what comes after the fourth segment: a pause before that is a pause of the connection.
    other = ((pl.col("kind") == EVENT_KINDS.index("data")) & (pl.col("half") == 1)).sum().over("flow")
    paused = events.with_columns(idle_ns=pl.col("at_ns").diff().over("flow"), answers=other).filter(
        data,
        pl.col("answers") < _KEPT_SEGMENTS,
        pl.col("idle_ns") >= int(paths["idle_ns"].min() or 0),  # type: ignore[arg-type]
    )
    return paused["leg"].n_unique()
