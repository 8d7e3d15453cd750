"""Flows and paths as the report's objects: columns named and nested as in the JSON document.

Rows are made in slices, so that the text of a million endpoints is never in memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import polars as pl

from flowscope.report.probe_rows import probe_rows
from flowscope.report.snat_rows import snat_rows

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

What = Literal["flows", "paths", "probes", "snat"]
"""The tables that can be written for themselves."""

SLICE = 32_768
_ICMP = (1, 58)
_HALF = ("packets", "bytes", "payload_bytes", "retransmissions", "duplicates", "isn")


def row_slices(analysis: Analysis, what: What) -> Iterator[pl.DataFrame]:
    """The rows of a table, by id, as slices with the columns of the report's objects."""
    return {"flows": flow_rows, "paths": path_rows, "probes": probe_rows, "snat": snat_rows}[what](analysis)


def flow_rows(analysis: Analysis) -> Iterator[pl.DataFrame]:
    """Flows as the report's objects; ``fwd`` and ``rev`` are structs."""
    text = EndpointText(analysis.addresses)
    names = {point.number: point.name for point in analysis.points}
    for rows in _slices(analysis.flows):
        yield rows.select(
            pl.col("flow").alias("id"),
            pl.col("point").replace_strict(names, default=None, return_dtype=pl.String),
            protocol_name(),
            text.of(rows, "src"),
            text.of(rows, "dst"),
            rfc3339("first_ns").alias("first"),
            rfc3339("last_ns").alias("last"),
            *(pl.struct(pl.col(f"{half}_{name}").alias(name) for name in _HALF).alias(half) for half in ("fwd", "rev")),
            "state",
            "history",
            "handshake_rtt_ns",
            "first_capture",
            "first_frame",
            "last_capture",
            "last_frame",
        )


def path_rows(analysis: Analysis) -> Iterator[pl.DataFrame]:
    """Paths as the report's objects; ``legs`` is a list of structs."""
    text = EndpointText(analysis.addresses)
    legs = analysis.legs.sort("leg")
    for rows in _slices(analysis.paths):
        yield rows.select(
            pl.col("path").alias("id"),
            protocol_name(),
            rfc3339("first_ns").alias("first"),
            *(text.of(rows, role) for role in ("client", "frontend", "snat", "backend")),
            "outcome",
            "method",
            "confidence",
            "ambiguous",
            "margin",
            _runner_up(rows, legs, text),
            "reasons",
            _legs(rows, legs, text),
        )


def protocol_name() -> pl.Expr:
    """The protocol's name: tcp, udp, icmp, icmp6, else its number as text."""
    names = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6", 132: "sctp"}
    number = pl.col("protocol")
    return number.replace_strict(names, default=number.cast(pl.String), return_dtype=pl.String)


def rfc3339(column: str) -> pl.Expr:
    """A column of UTC nanoseconds as RFC 3339 text: ``2026-01-01T00:00:00.000000000Z``; null stays null."""
    return pl.from_epoch(column, time_unit="ns").dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ").alias(column)


class EndpointText:
    """Writes endpoints: ``10.0.0.4:8080``, ``[2001:db8::1]:443``; for ICMP the address alone.

    Args:
        addresses: the core's table of addresses.
    """

    def __init__(self, addresses: pl.DataFrame) -> None:
        ordered = addresses.sort("address")
        self._bare = ordered["text"]
        self._host = ordered.select(
            pl.when(pl.col("ip_version") == 6).then(pl.format("[{}]:", "text")).otherwise(pl.format("{}:", "text"))
        ).to_series()

    def of(self, rows: pl.DataFrame, role: str) -> pl.Series:
        """The endpoints of one role.

        Args:
            rows: has the columns ``protocol``, ``<role>`` (address number) and ``<role>_port``.
            role: also the name of the result.
        """
        host = self._host.gather(rows[role])
        text = pl.select(pl.concat_str(host, rows[f"{role}_port"].cast(pl.String))).to_series()
        icmp = rows["protocol"].is_in(_ICMP)
        if icmp.any():
            text = self._bare.gather(rows[role]).zip_with(icmp, text)
        return text.alias(role)


def _slices(table: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """A table piece by piece; an empty one is one empty piece, so that its columns are still known."""
    for start in range(0, max(table.height, 1), SLICE):
        yield table.slice(start, SLICE)


def _legs(rows: pl.DataFrame, legs: pl.DataFrame, text: EndpointText) -> pl.Series:
    """For each path the list of its legs (src, dst, flows); ``legs`` is sorted by number."""
    numbers = rows.select(pl.arange(0, pl.len()).alias("row"), "legs").explode("legs")
    # A search, not a join: a join would hash all legs again for every slice.
    found = legs[legs["leg"].search_sorted(numbers["legs"])].with_columns(numbers["row"])
    objects = found.select("row", text.of(found, "src"), text.of(found, "dst"), "flows", "tunnels")
    leg = pl.struct("src", "dst", "flows", "tunnels")
    return objects.group_by("row", maintain_order=True).agg(leg.alias("legs")).to_series(1)


def _runner_up(rows: pl.DataFrame, legs: pl.DataFrame, text: EndpointText) -> pl.Series:
    """For each path the leg that would have been joined instead, as ``source > destination``; null where none would."""
    there = rows["runner_up"].is_not_null()
    if not there.any():
        return pl.Series("runner_up", [None] * rows.height, dtype=pl.String)
    numbers = rows.select(row=pl.arange(0, pl.len()), leg="runner_up").drop_nulls()
    found = legs[legs["leg"].search_sorted(numbers["leg"])].with_columns(numbers["row"])
    words = pl.select(pl.format("{} > {}", text.of(found, "src"), text.of(found, "dst"))).to_series()
    named = pl.DataFrame({"row": numbers["row"], "runner_up": words})
    return pl.DataFrame({"row": pl.arange(0, rows.height, eager=True)}).join(
        named, "row", how="left", maintain_order="left"
    )["runner_up"]
