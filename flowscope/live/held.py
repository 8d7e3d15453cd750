"""The tables of a window of live traffic: what the core drains is merged in, what is old is put aside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from flowscope.capture.core import Frames

_KEPT_FIRST, _KEPT_LAST = 8, 2
"""Events per flow, half and kind; the core keeps as many of a whole capture (``rust/core/src/flow/events.rs``)."""

_CHUNKS = 16


class Held:
    """The flows that are held, with their events and messages; numbers are the core's."""

    def __init__(self) -> None:
        self._frames: Frames | None = None

    @property
    def flows(self) -> pl.DataFrame:
        """One row per flow, by number, as last drained."""
        return pl.DataFrame() if self._frames is None else self._frames.flows

    @property
    def count(self) -> int:
        """How many flows are held."""
        return 0 if self._frames is None else self._frames.flows.height

    @property
    def points(self) -> pl.DataFrame:
        """The core's point table, as last drained."""
        return pl.DataFrame() if self._frames is None else self._frames.points

    def take(self, news: Frames) -> None:
        """Merges what changed: a flow's row replaces its earlier one, events and messages add up."""
        old = self._frames
        if old is None:
            self._frames = news
            return
        flows, events, messages = old.flows, old.events, old.messages
        if news.flows.height:
            flows = pl.concat([flows.join(news.flows.select("flow"), "flow", how="anti"), news.flows]).sort("flow")
        if news.events.height:
            events = _trimmed(pl.concat([events, news.events]), news.events)
        if events.n_chunks() > _CHUNKS:
            events = events.rechunk()
        if news.messages.height:
            messages = pl.concat([messages, news.messages])
        self._frames = replace(news, flows=flows, events=events, messages=messages)

    def put_aside(self, flows: Iterable[int]) -> pl.DataFrame:
        """Drops flows, their events and messages; returns their rows."""
        assert self._frames is not None
        gone = pl.Series("flow", sorted(flows), dtype=pl.UInt64).to_frame()
        held = self._frames
        rows = held.flows.join(gone, "flow", how="semi")
        self._frames = replace(
            held,
            flows=held.flows.join(gone, "flow", how="anti", maintain_order="left"),
            events=held.events.join(gone, "flow", how="anti", maintain_order="left"),
            messages=held.messages.join(gone, "flow", how="anti", maintain_order="left"),
        )
        return rows

    def addresses(self) -> tuple[list[int], int]:
        """Numbers of the addresses that rows carry, and how many addresses there are."""
        assert self._frames is not None
        held = self._frames
        carried = pl.concat([held.flows["src"], held.flows["dst"], held.events["peer"].drop_nulls()])
        return carried.unique().to_list(), held.addresses.height

    def frames(self, until_ns: dict[int, int]) -> tuple[Frames, pl.Series]:
        """What a window is judged by: flows numbered from 0, and the core's numbers by these.

        Args:
            until_ns: until when each point was captured, where more is known of it than its last frame.
        """
        assert self._frames is not None
        held = self._frames
        numbers = held.flows["flow"]
        rows = numbers.to_frame().with_row_index("_row").with_columns(pl.col("_row").cast(pl.UInt64))
        told = pl.DataFrame(
            {"point": list(until_ns), "_until": list(until_ns.values())},
            schema={"point": pl.UInt32, "_until": pl.Int64},
        )
        points = held.points.join(told, "point", how="left", maintain_order="left")
        return replace(
            held,
            flows=held.flows.with_columns(flow=rows["_row"]),
            events=_renumbered(held.events, rows),
            messages=_renumbered(held.messages, rows),
            points=points.with_columns(until_ns=pl.max_horizontal("until_ns", "_until")).drop("_until"),
        ), numbers


def _renumbered(table: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose flow is held, with its row for number."""
    joined = table.join(rows, "flow", how="inner", maintain_order="left")
    return joined.with_columns(flow=pl.col("_row")).drop("_row")


def _trimmed(events: pl.DataFrame, news: pl.DataFrame) -> pl.DataFrame:
    """Every drain brings the last events of a kind; only those of the last drains are the last."""
    key = ["flow", "half", "kind"]
    crowded = news.select("flow").unique()
    touched = events.join(crowded, "flow", how="semi", maintain_order="left")
    if touched.group_by(key).len()["len"].max() <= _KEPT_FIRST + _KEPT_LAST:  # type: ignore[operator]
        return events
    place, count = pl.int_range(pl.len()).over(key), pl.len().over(key)
    kept = touched.sort("time_ns", maintain_order=True).filter((place < _KEPT_FIRST) | (place >= count - _KEPT_LAST))
    return pl.concat([events.join(crowded, "flow", how="anti", maintain_order="left"), kept])
