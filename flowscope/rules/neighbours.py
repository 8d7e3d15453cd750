"""What each point and the next one on the way saw of the same connections: how many bytes, and how many of them again.

Bytes are compared, not packets: offload may have merged or cut them. What a point lacks was lost before it when its
receiver never acknowledged it, and else missed by its capture. Where the next point's capture ended first, only what
was sent again while it lasted counts.
"""

from __future__ import annotations

import polars as pl

from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

_GAP, _RETRANSMISSION = EVENT_KINDS.index("gap"), EVENT_KINDS.index("retransmission")
#: What is sent so long before the next point's last packet would have come there.
_ON_THE_WAY_NS = 1_000_000_000
#: Half, the other one, its number, whether it goes from the last leg to the first.
_HALVES = (("fwd", "rev", 0, False), ("rev", "fwd", 1, True))


def neighbours(window: Window) -> pl.DataFrame:
    """Paths and halves with repeats, each at a point and the next one on the way: what was lost in between."""
    if len(window.places) < 2:
        return pl.DataFrame()
    repeats = [
        pl.col(f"{half}_retransmissions").cast(pl.Int64) - pl.col(f"{half}_duplicates").cast(pl.Int64)
        for half, *_ in _HALVES
    ]
    # Lazily, for the flow table is wide: filtering all of it would copy all of it.
    repeated = window.flows.lazy().filter(pl.col("protocol") == 6, (repeats[0] > 0) | (repeats[1] > 0))
    troubled = repeated.select("leg").unique().collect()["leg"]
    if not troubled.len():
        return pl.DataFrame()
    paths = (
        window.judgeable.filter(~pl.col("method").str.starts_with("proxy"))
        .select("path", leg="legs")
        .with_columns(stage=pl.int_ranges(0, pl.col("leg").list.len()))
        .explode("leg", "stage")
        # Looked up for all rows at once: inside of `over` each path would search all legs anew.
        .with_columns(troubled=pl.col("leg").is_in(troubled.implode()))
        .filter(pl.col("troubled").any().over("path"))
        .drop("troubled")
    )
    legs = paths["leg"].unique()
    flows = window.flows.filter(pl.col("leg").is_in(legs.implode())).join(paths, "leg")
    since = {point: place.first_ns for point, place in window.places.items()}
    until = {point: place.last_ns for point, place in window.places.items()}
    flows = flows.with_columns(
        since_ns=pl.col("point").replace_strict(since, return_dtype=pl.Int64),
        until_ns=pl.col("point").replace_strict(until, return_dtype=pl.Int64),
        end_ns=pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns"),
    )
    events = window.events.filter(pl.col("leg").is_in(legs.implode()), pl.col("kind").is_in([_GAP, _RETRANSMISSION]))
    return pl.concat(_half(flows, events, *half) for half in _HALVES).sort("path", "point")


def _half(
    flows: pl.DataFrame, events: pl.DataFrame, own: str, other: str, number: int, backwards: bool
) -> pl.DataFrame:
    # In packet order: legs first, then the TTL, which falls from hop to hop, then the time.
    order = ["path", "stage", f"{own}_ttl_max", "begun_ns"]
    seen = flows.filter(pl.col(f"{own}_packets") > 0, pl.col(f"{own}_duplicates") == 0)
    seen = seen.with_columns(
        pl.col(f"{own}_ttl_max").cast(pl.Int16),
        stage=-pl.col("stage") if backwards else pl.col("stage"),
        begun_ns=pl.col("at_ns") + pl.col(f"{own}_first_ns") - pl.col("first_ns"),
    ).sort(*order, descending=[False, False, True, False])
    events = events.filter(pl.col("half") == number)
    holes = events.filter(pl.col("kind") == _GAP).group_by("flow").agg(holes=pl.col("seq").cast(pl.Int64))
    sides = (
        seen.join(holes, "flow", how="left", maintain_order="left")
        .select(
            "path",
            "leg",
            "point",
            "flow",
            "at_ns",
            "end_ns",
            "since_ns",
            "until_ns",
            "holes",
            sent_ns=pl.col("at_ns") + pl.col(f"{own}_last_data_ns") - pl.col("first_ns"),
            bytes=pl.col(f"{own}_payload_bytes").cast(pl.Int64),
            covered=pl.col(f"{own}_covered_bytes").cast(pl.Int64),
            base=pl.col(f"{own}_base_seq").cast(pl.Int64),
            next=pl.col(f"{own}_next_seq").cast(pl.Int64),
            repeats=pl.col(f"{own}_retransmissions").cast(pl.Int64),
            largest=pl.col(f"{own}_max_segment").cast(pl.Int64),
            acked=pl.col(f"{other}_last_ack").cast(pl.Int64),
        )
        .with_columns(again=pl.col("bytes") - pl.col("covered"))
    )
    # Rows stand in path order: the next point is the next row. A window per path would cost memory for each.
    names = ("path", "point", "covered", "again", "base", "next", "since_ns", "until_ns", "acked", "holes")
    paired = sides.with_columns(pl.col(name).shift(-1).alias(f"far_{name}") for name in names).filter(
        pl.col("far_path") == pl.col("path"), pl.col("far_point") != pl.col("point")
    )
    # A capture that began or ended in between lacks what passed before or after.
    begun = (pl.col("far_since_ns") <= pl.col("at_ns")) | (pl.col("far_base") == pl.col("base"))
    ended = (
        (pl.col("far_until_ns") >= pl.col("end_ns"))
        | (pl.col("far_until_ns") >= pl.col("sent_ns") + _ON_THE_WAY_NS)
        | (pl.col("far_next") == pl.col("next"))
    )
    paired = paired.filter(begun).with_columns(ended=ended.fill_null(value=False))
    paired = paired.join(_in_time(paired, events), "flow", how="left", maintain_order="left")
    lacking = pl.col("covered") - pl.col("far_covered")
    never = (pl.col("ended") & (lacking > 0) & (_tail() | _holes_open())).fill_null(value=False)
    return (
        paired.with_columns(again=pl.when("ended").then("again").otherwise(pl.col("in_time").fill_null(0)))
        .with_columns(
            # What was sent again, and passed the far point less often; what never came at all is lost once more.
            lost=pl.col("again") - pl.col("far_again") + pl.when(never).then(lacking).otherwise(0),
            unseen=pl.when(never | ~pl.col("ended")).then(0).otherwise(lacking).clip(0),
            # A late first copy is marked as a repeat as well: bytes tell that something came twice.
            repeated=(pl.col("repeats") > 0) & (pl.col("again") > 0),
        )
        .with_columns(
            # Each was one packet at most where the largest was; a floor, not a count.
            segments=(pl.col("lost") / pl.col("largest").clip(1)).ceil().cast(pl.Int64).clip(0),
        )
        .drop("holes", "far_holes")
    )


def _tail() -> pl.Expr:
    """All that the far point lacks lies behind the last that it saw, and its receiver acknowledged none of it."""
    beyond = (pl.col("acked") - pl.col("far_next")) % 2**32
    last = (pl.col("next") - pl.col("far_next")) % 2**32
    return ((beyond == 0) | (beyond >= 2**31)) & (last == pl.col("covered") - pl.col("far_covered"))


def _holes_open() -> pl.Expr:
    """The far point has holes, and its receiver acknowledged nothing behind any of them."""
    behind = (pl.col("far_acked") - pl.col("far_holes")) % 2**32
    open_still = behind.list.min() >= 2**31
    return open_still & (((pl.col("far_acked") - pl.col("far_next")) % 2**32) >= 2**31)


def _in_time(paired: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Bytes of each flow (``in_time``) that were sent again while the far point was still captured; a floor."""
    cut = paired.filter(~pl.col("ended")).select("flow", "far_until_ns").unique("flow")
    return (
        events.filter(pl.col("kind") == _RETRANSMISSION)
        .join(cut, "flow")
        .filter(pl.col("at_ns") <= pl.col("far_until_ns") - _ON_THE_WAY_NS)
        .group_by("flow")
        .agg(in_time=pl.col("length").cast(pl.Int64).sum())
    )
