"""Offsets between the clocks of the points, from handshakes that two of them saw.

A SYN seen at A and later at B gives ``f = tB - tA``, its SYN-ACK seen at B and then at A gives ``g = tA' - tB'``.
With the offset ``o`` of B's clock, ``f`` is ``o`` plus the way there and ``g`` is ``-o`` plus the way back, so ``o``
is ``(f - g) / 2`` and cannot be wrong by more than ``|f + g| / 2``. The handshake with the smallest sum knows best.
"""

from __future__ import annotations

from collections import deque

import polars as pl

_SYN, _SYN_ACK = 0, 1
_CONNECTION = ("flow", "leg", "point", "fwd_isn", "fwd_syn_layout", "fwd_ttl_max")
#: Handshakes that decide on an offset, at most.
_BEST = 20
#: Clocks of hosts that keep time at all do not differ by more; SYNs alone prove less than that.
_USUAL_NS = 5_000_000_000
#: SYNs that tell of a larger difference must agree this well.
_AGREED_NS = 100_000_000


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
    edges = _edges(_openings(flows, events), _tries(flows, events)) if points.len() > 1 else {}
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


def _openings(flows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The first SYN and SYN-ACK of every flow that has both."""
    first = events.filter(pl.col("kind").is_in([_SYN, _SYN_ACK])).group_by("flow", "kind").agg(pl.col("time_ns").min())
    syn = first.filter(pl.col("kind") == _SYN).select("flow", syn_ns="time_ns")
    answer = first.filter(pl.col("kind") == _SYN_ACK).select("flow", answer_ns="time_ns")
    known = flows.filter(pl.col("fwd_isn").is_not_null(), pl.col("rev_isn").is_not_null())
    return known.select(*_CONNECTION, "rev_isn").join(syn, "flow").join(answer, "flow")


def _tries(flows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Every SYN: a translator may have dropped the first ones."""
    syns = events.filter(pl.col("kind") == _SYN).select("flow", "tsval", "ip_id", syn_ns="time_ns")
    return flows.filter(pl.col("fwd_isn").is_not_null()).select(*_CONNECTION).join(syns, "flow")


def _edges(openings: pl.DataFrame, tries: pl.DataFrame) -> dict[int, dict[int, tuple[int, int]]]:
    """Offset and doubt between pairs of points, both ways: what to add at the second to get the first's time."""
    edges: dict[int, dict[int, tuple[int, int]]] = {}
    # The same tuple at both points is beyond doubt. Equal ISNs under other addresses count only where that is missing,
    # and only one hop or more further on: a replay of the trace would tell of its delay, not of the clocks.
    # SYNs that nobody answered are the last resort.
    for measured in (
        _both_ways(_pairs(openings, ["leg"])),
        _both_ways(_further_on(_pairs(openings, ["fwd_isn", "rev_isn", "fwd_syn_layout"]))),
        _one_way(_further_on(_pairs(tries, ["fwd_isn", "fwd_syn_layout", "tsval", "ip_id"]))),
    ):
        for a, b, offset, doubt in measured.iter_rows():
            if b not in edges.get(a, {}):
                edges.setdefault(a, {})[b] = (-offset, doubt)
                edges.setdefault(b, {})[a] = (offset, doubt)
    return edges


def _pairs(openings: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    pairs = openings.join(openings, key, suffix="_b").filter(pl.col("point") < pl.col("point_b"))
    return pairs if "leg_b" in pairs.columns else pairs.with_columns(leg_b="leg")


def _further_on(pairs: pl.DataFrame) -> pl.DataFrame:
    return pairs.filter((pl.col("leg") == pl.col("leg_b")) | (pl.col("fwd_ttl_max") != pl.col("fwd_ttl_max_b")))


def _both_ways(pairs: pl.DataFrame) -> pl.DataFrame:
    """``point``, ``point_b``, offset and doubt from handshakes that both points saw."""
    f, g = pl.col("syn_ns_b") - pl.col("syn_ns"), pl.col("answer_ns") - pl.col("answer_ns_b")
    measured = pairs.select("point", "point_b", o=(f - g) // 2, doubt=(f + g).abs() // 2 + 1).sort("doubt")
    return measured.group_by("point", "point_b", maintain_order=True).agg(
        # Median of the best: one retried SYN must not decide.
        pl.col("o").head(_BEST).median().cast(pl.Int64),
        pl.col("doubt").first() + (pl.col("o").head(_BEST).median() - pl.col("o").first()).abs().cast(pl.Int64),
    )


def _one_way(pairs: pl.DataFrame) -> pl.DataFrame:
    """The same from SYNs alone: the way there counts as doubt, and a large offset needs several that agree."""
    seen = pairs.select("point", "point_b", f=pl.col("syn_ns_b") - pl.col("syn_ns"))
    grouped = seen.group_by("point", "point_b", maintain_order=True).agg(
        pl.col("f").median().cast(pl.Int64),
        pl.len().alias("count"),
        spread=((pl.col("f") - pl.col("f").median()).abs()).median().cast(pl.Int64),
    )
    near = pl.col("f").abs() <= _USUAL_NS
    agreed = (pl.col("count") >= 3) & (pl.col("spread") <= _AGREED_NS)
    return grouped.filter(near | agreed).select(
        "point", "point_b", "f", doubt=pl.when(near).then(pl.col("f").abs()).otherwise("spread") + 1
    )
