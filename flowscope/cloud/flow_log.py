"""Flow logs of any cloud in one form, and the files of ``--flow-log``."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from flowscope.cloud.given import Given

RECORDS: dict[str, pl.DataType] = {
    "src": pl.String(),
    "src_port": pl.Int64(),
    "dst": pl.String(),
    "dst_port": pl.Int64(),
    "protocol": pl.Int64(),
    "start_ns": pl.Int64(),
    "end_ns": pl.Int64(),
    "direction": pl.String(),
    "decision": pl.String(),
    "rule": pl.String(),
    "group": pl.String(),
    "state": pl.String(),
    "packets": pl.Int64(),
    "bytes": pl.Int64(),
}
"""Columns of a flow log.

``direction`` is ``inbound``, ``outbound`` or null; ``decision`` is ``allow``, ``deny``, or null where the format has
none; ``state`` is ``begin``, ``continue``, ``end`` or null; ports are null when the format leaves them out; counters
are of the record's own interval, never totals.
"""

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FlowLog:
    """All the records that were given."""

    records: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={**RECORDS, "file": pl.UInt32}))
    """:data:`RECORDS`, and ``file``: position among the files."""
    files: tuple[Given, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files)


def join_logs(read: Sequence[tuple[Given, pl.DataFrame]]) -> FlowLog:
    """Several files as one log; a record that stands in two of them counts once."""
    if not read:
        return FlowLog()
    frames = [frame.with_columns(file=pl.lit(at, pl.UInt32)) for at, (_, frame) in enumerate(read)]
    records = pl.concat(frames).unique(subset=list(RECORDS), keep="first", maintain_order=True)
    return FlowLog(records, tuple(given for given, _ in read))


def record_frame(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    """Rows in the order of :data:`RECORDS` as a frame; exact copies once (collectors deliver twice)."""
    return pl.DataFrame(rows, schema=RECORDS, orient="row").unique(maintain_order=True)


def canonical(text: str) -> str:
    """An address as the tables have it.

    Raises:
        ValueError: it is none.
    """
    return str(ipaddress.ip_address(text))


def number(text: str) -> int | None:
    """A count; empty (a flow's first record), ``-`` and ``None`` are none."""
    return int(text) if text.isdecimal() and len(text) < 20 else None
