"""One row per TCP leg with what a proxy's two sides are compared by, on one clock."""

from __future__ import annotations

import polars as pl

from flowscope.nat.clocks import Clocks
from flowscope.nat.numbers import endpoint

_TCP = 6
#: Columns of :func:`sides` that are times.
TIMES = ("start_ns", "end_ns", "fwd_data_ns", "rev_data_ns", "rev_data_end_ns")
#: Bytes that may lie between what two points saw of one stream.
_IN_FLIGHT_BYTES = 4_096
#: What :func:`could_be_proxied` reads of both sides, besides their ends: a pattern of columns.
NUMBERS = "^(fwd|rev)_(isn|base_seq|covered_bytes|missing_bytes)$"
_MEASURES = tuple(
    f"{half}_{name}"
    for half in ("fwd", "rev")
    for name in ("base_seq", "covered_bytes", "missing_bytes", "payload_digest")
)


def sides(legs: pl.DataFrame, flows: pl.DataFrame, clocks: Clocks) -> pl.DataFrame:
    """The TCP legs: ``leg``, ``src_end`` and ``dst_end`` (:func:`flowscope.nat.numbers.endpoint`), times, payload.

    Args:
        legs: as :func:`flowscope.nat.legs.leg_table` returns them.
        flows: with ``leg``.
        clocks: of the points.

    Returns:
        Also ``island`` (the clocks of two islands differ by an unknown time) and ``slack_ns``, see :func:`on_islands`.
    """
    seen = flows.filter(pl.col("protocol") == _TCP).select(
        "leg",
        "point",
        *_MEASURES,
        end_ns="last_ns",
        fwd_data_ns="fwd_first_data_ns",
        rev_data_ns="rev_first_data_ns",
        rev_data_end_ns="rev_last_data_ns",
    )
    for name in TIMES[1:]:
        seen = clocks.correct(seen, name, name)
    if seen["leg"].n_unique() != seen.height:
        seen = seen.group_by("leg").agg(
            pl.col("point").first(),
            pl.col("end_ns", "rev_data_end_ns").max(),
            pl.col("fwd_data_ns", "rev_data_ns").min(),
            pl.col("^.*_(base_seq|payload_digest)$").drop_nulls().first(),
            pl.col("^.*_(covered_bytes|missing_bytes)$").max(),
        )
    known = legs.select(
        "leg",
        "src",
        "dst",
        "dst_port",
        "fwd_isn",
        "rev_isn",
        start_ns="at_ns",
        src_end=endpoint("src"),
        dst_end=endpoint("dst"),
    )
    return known.join(on_islands(seen, clocks).drop("point"), "leg", maintain_order="left")


def on_islands(table: pl.DataFrame, clocks: Clocks) -> pl.DataFrame:
    """Adds ``island`` and ``slack_ns`` (doubt about the clock) by ``point``."""
    rows = [(clock.point, clock.island, clock.error_ns) for clock in clocks.by_point.values()]
    schema = {"point": pl.UInt32, "island": pl.Int64, "slack_ns": pl.Int64}
    known = pl.DataFrame(rows, schema=schema, orient="row")
    return table.join(known, "point", how="left", maintain_order="left")


def could_be_proxied() -> pl.Expr:
    """True where two sides, the server's with the suffix ``_b``, may be the two connections of one proxy.

    A proxy opens a connection of its own, with its own sequence numbers: what keeps the ISNs was passed through or
    replayed. The same client calling the same server again is a retry. Nothing calls from the port that it serves.
    """

    def same(name: str) -> pl.Expr:
        return (pl.col(name) == pl.col(f"{name}_b")).fill_null(value=False)

    return ~(
        same("leg")
        | (same("src") & same("dst_end"))
        | (pl.col("dst_end") == pl.col("src_end_b")).fill_null(value=False)
        | same("fwd_isn")
        | same("rev_isn")
        | (_meet("fwd") & _meet("rev"))
    )


def _meet(half: str) -> pl.Expr:
    """True where a half of both sides is one stretch of sequence numbers, or nearly: no proxy keeps them."""

    def ahead(later: str, earlier: str) -> pl.Expr:
        return (pl.col(later).cast(pl.Int64) - pl.col(earlier).cast(pl.Int64)) % 2**32

    def length(suffix: str) -> pl.Expr:
        return pl.col(f"{half}_covered_bytes{suffix}") + pl.col(f"{half}_missing_bytes{suffix}") + _IN_FLIGHT_BYTES

    base = f"{half}_base_seq"
    near = (ahead(f"{base}_b", base) <= length("")) | (ahead(base, f"{base}_b") <= length("_b"))
    return near.fill_null(value=False)


def from_elsewhere() -> pl.Expr:
    """True where the server's side comes from the host that the client called, or at least not from the client.

    A client that tries one server after the other sends the same request to both.
    """
    return (pl.col("src") != pl.col("src_b")) | (pl.col("dst") == pl.col("src_b"))
