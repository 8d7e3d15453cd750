"""Offsets between the clocks of the points, from handshakes that two of them saw.

A SYN seen at A and later at B gives ``f = tB - tA``, its SYN-ACK seen at B and then at A gives ``g = tA' - tB'``.
With the offset ``o`` of B's clock, ``f`` is ``o`` plus the way there and ``g`` is ``-o`` plus the way back, so ``o``
is ``(f - g) / 2`` and cannot be wrong by more than ``|f + g| / 2``. The handshake with the smallest sum knows best.
"""

from __future__ import annotations

from collections import deque

import polars as pl

_SYN, _SYN_ACK = 0, 1
#: Handshakes that agree on an offset, at most.
_BEST = 20


def clock_offsets(flows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """What to add to the times of each point to get those of the reference point.

    Args:
        flows: with legs (``leg``), as :func:`flowscope.nat.legs.with_legs` returns them.
        events: the core's event table.

    Returns:
        Columns ``point``, ``offset_ns``, ``error_ns`` (half the shortest round trip between the points), ``island``
        (points of different islands share no handshake: nothing is known of their clocks' difference).
    """
    points = flows["point"].unique().sort()
    edges = _edges(_handshakes(flows, events)) if points.len() > 1 else {}
    weight = dict(flows.group_by("point").len().iter_rows())
    placed: dict[int, tuple[int, int, int]] = {}
    for island, start in enumerate(sorted(points, key=lambda point: (-weight.get(point, 0), point))):
        if start in placed:
            continue
        placed[start] = (0, 0, island)
        queue = deque([start])
        while queue:
            here = queue.popleft()
            offset, error, _ = placed[here]
            for there, (step, doubt) in sorted(edges.get(here, {}).items(), key=lambda edge: edge[1][1]):
                if there not in placed:
                    # A difference within its own doubt is no difference: most points share a host or an NTP server.
                    step = 0 if abs(step) <= doubt else step
                    placed[there] = (offset + step, error + doubt, island)
                    queue.append(there)
    rows = [(point, *placed[point]) for point in points]
    schema = {"point": pl.UInt32, "offset_ns": pl.Int64, "error_ns": pl.Int64, "island": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def corrected(table: pl.DataFrame, offsets: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    """Adds ``name``: the time in ``column`` on the reference clock. The table needs a ``point`` column."""
    if not (offsets["offset_ns"] != 0).any():
        return table.with_columns(pl.col(column).alias(name))
    shift = table.select("point").join(offsets, "point", how="left", maintain_order="left")["offset_ns"]
    return table.with_columns((pl.col(column) + shift).alias(name))


def _handshakes(flows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    known = flows.filter(pl.col("fwd_isn").is_not_null(), pl.col("rev_isn").is_not_null())
    first = (
        events.filter(pl.col("kind").is_in([_SYN, _SYN_ACK]))
        .group_by("flow", "kind")
        .agg(pl.col("time_ns").min())
    )  # fmt: skip
    syn = first.filter(pl.col("kind") == _SYN).select("flow", pl.col("time_ns").alias("syn_ns"))
    answer = first.filter(pl.col("kind") == _SYN_ACK).select("flow", pl.col("time_ns").alias("answer_ns"))
    return (
        known.select("flow", "leg", "point", "fwd_isn", "rev_isn", "fwd_syn_layout", "fwd_ttl_max")
        .join(syn, "flow")
        .join(answer, "flow")
    )


def _edges(handshakes: pl.DataFrame) -> dict[int, dict[int, tuple[int, int]]]:
    """Offset and doubt between pairs of points, both ways: what to add at the second to get the first's time."""
    edges: dict[int, dict[int, tuple[int, int]]] = {}
    # The same tuple at both points is beyond doubt; equal ISNs under other addresses count only where that is missing,
    # and only one hop or more further on: a replay of the trace would tell of its delay, not of the clocks.
    for rank, key in enumerate((["leg"], ["fwd_isn", "rev_isn", "fwd_syn_layout"])):
        pairs = handshakes.join(handshakes, key, suffix="_b").filter(pl.col("point") < pl.col("point_b"))
        if rank:
            pairs = pairs.filter(pl.col("fwd_ttl_max") != pl.col("fwd_ttl_max_b"), pl.col("leg") != pl.col("leg_b"))
        measured = pairs.select(
            "point",
            "point_b",
            f=pl.col("syn_ns_b") - pl.col("syn_ns"),
            g=pl.col("answer_ns") - pl.col("answer_ns_b"),
        ).with_columns(o=(pl.col("f") - pl.col("g")) // 2, doubt=(pl.col("f") + pl.col("g")).abs() // 2)
        best = (
            measured.sort("doubt")
            .group_by("point", "point_b", maintain_order=True)
            .agg(pl.col("o").head(_BEST).median().cast(pl.Int64), pl.col("doubt").first())
        )
        for a, b, offset, doubt in best.iter_rows():
            if b not in edges.get(a, {}):
                edges.setdefault(a, {})[b] = (-offset, doubt)
                edges.setdefault(b, {})[a] = (offset, doubt)
    return edges
