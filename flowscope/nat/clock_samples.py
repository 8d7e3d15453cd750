"""What handshakes say of the clocks of two points.

A SYN seen at A and later at B gives ``f = tB - tA``, its SYN-ACK seen at B and then at A gives ``g = tA' - tB'``. With
the offset ``o`` of B's clock, ``f`` is ``o`` plus the way there and ``g`` is ``-o`` plus the way back, so ``o`` is
``(f - g) / 2`` and cannot be wrong by more than ``|f + g| / 2``. A datagram and its answer tell the same.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.clock_fit import MOST, USUAL_DRIFT, Sample, Stretch, fit

_SYN, _SYN_ACK, _DATA, _TCP = 0, 1, 8, 6
_CONNECTION = ("flow", "leg", "point", "fwd_isn", "fwd_syn_layout", "fwd_syn_ttl")
#: Clocks of hosts that keep time at all do not differ by more; SYNs alone prove less than that.
_USUAL_NS = 5_000_000_000
#: SYNs that tell of a larger difference must agree this well.
_AGREED_NS = 100_000_000

#: So many frames tell how coarse a clock is; it is when so large a part of them has the time of another one.
_ENOUGH_FRAMES, _OFTEN = 20_000, 0.2

Edges = dict[int, dict[int, list[Stretch]]]
"""For point ``a`` and point ``b``: how far the clock of ``b`` is ahead of that of ``a``, by the time at ``b``."""


def measured_edges(flows: pl.DataFrame, events: pl.DataFrame, datagrams: pl.DataFrame) -> Edges:
    """The differences between all pairs of points that saw the same connections, both ways.

    Args:
        flows: with ``leg``.
        events: the core's event table.
        datagrams: as :func:`flowscope.nat.datagrams.datagrams` returns them.
    """
    openings, tries, ticks = _openings(flows, events), _tries(flows, events), _ticks(events)
    edges: Edges = {}
    # The same tuple at both points is beyond doubt. Equal ISNs under other addresses count only where that is missing,
    # and only one hop or more further on: a replay of the trace would tell of its delay, not of the clocks.
    # Then datagrams, and segments of connections that are older than the capture; SYNs that nobody answered are the
    # last resort.
    _add(edges, _both_ways(_pairs(openings, ["leg"])), ticks)
    _add(edges, _both_ways(_further_on(_pairs(openings, ["fwd_isn", "rev_isn"]))), ticks)
    _add(edges, _answered(datagrams), ticks)
    if not _all_tied(edges, flows["point"].unique().to_list()):
        _add(edges, _answered(_segments(flows, events)), ticks)
    alike = _pairs(tries, ["fwd_isn", "tsval", "ip_id"])
    for one, other, offset, known_to in _one_way(_further_on(alike)):
        doubt = known_to + max(ticks.get(one, 0), ticks.get(other, 0))
        if other not in edges.get(one, {}):
            edges.setdefault(one, {})[other] = [_flat(offset, doubt)]
            edges.setdefault(other, {})[one] = [_flat(-offset, doubt)]
    return edges


def _ticks(events: pl.DataFrame) -> dict[int, int]:
    """How coarse the clocks are, by point, where many frames have the same time: 10 or 15.6 ms in some captures."""
    found = {}
    for (point,), seen in events.select("point", "capture", "frame", "time_ns").group_by("point"):
        frames = seen.head(_ENOUGH_FRAMES).unique(["capture", "frame"])
        apart = frames["time_ns"].sort().diff().drop_nulls()
        if frames.height > 1 and (apart == 0).sum() >= _OFTEN * frames.height:
            tick = apart.filter(apart > 0).min()
            found[int(str(point))] = tick if isinstance(tick, int) else 0
    return found


def _add(edges: Edges, found: pl.DataFrame, ticks: dict[int, int]) -> None:
    """Adds the pairs of points that have no difference yet; what their clocks leave out makes each sample doubtful."""
    for (a, b), group in found.group_by("point", "point_b", maintain_order=True):
        one, other = int(str(a)), int(str(b))
        if other not in edges.get(one, {}):
            group = group.with_columns(pl.col("doubt") + max(ticks.get(one, 0), ticks.get(other, 0)))
            edges.setdefault(one, {})[other] = fit(_samples(group, "syn_ns_b", pl.col("o")))
            edges.setdefault(other, {})[one] = fit(_samples(group, "syn_ns", -pl.col("o")))


def _samples(group: pl.DataFrame, at: str, offset: pl.Expr) -> list[Sample]:
    """The best of each moment; the others are left out while they are rows of a table."""
    rows = group.select(at, offset, "doubt").sort(at, maintain_order=True)
    if rows.height > MOST:
        moment = pl.int_range(pl.len()) // -(-rows.height // MOST)
        rows = rows.sort(moment, "doubt", maintain_order=True).filter(moment.is_first_distinct())
    return [Sample(*row) for row in rows.iter_rows()]


def _all_tied(edges: Edges, points: list[int]) -> bool:
    """Whether all points can be reached from the first."""
    reached, queue = {points[0]}, [points[0]]
    for here in queue:
        further = [there for there in edges.get(here, {}) if there not in reached]
        reached.update(further)
        queue += further
    return reached >= set(points)


def _flat(offset_ns: int, doubt_ns: int) -> Stretch:
    lines = (float(offset_ns - doubt_ns), 0.0), (float(offset_ns + doubt_ns), 0.0)
    return Stretch(-(2**63), -(2**62), 2**62, offset_ns, 0.0, lines)


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


#: Copies of one opening at more places than this are a flood, and tell nothing of clocks.
_CROWD = 64


def _pairs(openings: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    several = openings.filter(pl.len().over(key).is_between(2, _CROWD))
    pairs = several.join(several, key, suffix="_b").filter(pl.col("point") < pl.col("point_b"))
    # A snap length may have left too little of the options to compare.
    alike = (pl.col("fwd_syn_layout") == pl.col("fwd_syn_layout_b")).fill_null(value=True)
    pairs = pairs.filter(alike)
    return pairs if "leg_b" in pairs.columns else pairs.with_columns(leg_b="leg")


def _further_on(pairs: pl.DataFrame) -> pl.DataFrame:
    return pairs.filter((pl.col("leg") == pl.col("leg_b")) | (pl.col("fwd_syn_ttl") != pl.col("fwd_syn_ttl_b")))


def _both_ways(pairs: pl.DataFrame) -> pl.DataFrame:
    """Adds ``o`` and ``doubt`` of each handshake that both points saw."""
    f, g = pl.col("syn_ns_b") - pl.col("syn_ns"), pl.col("answer_ns") - pl.col("answer_ns_b")
    # At the other point the wait was shorter or longer by both ways.
    drift = meanwhile((pl.col("answer_ns") - pl.col("syn_ns")).abs() + (f + g).abs())
    return pairs.with_columns(o=(f - g) // 2, doubt=(f + g).abs() // 2 + 1 + drift).sort("point", "point_b", "syn_ns")


def meanwhile(wait_ns: pl.Expr) -> pl.Expr:
    """How far clocks drift between a packet and its answer: an answer that was long in coming tells less."""
    return (wait_ns.abs().cast(pl.Float64) * USUAL_DRIFT).cast(pl.Int64)


def _segments(flows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Data segments that were seen where a connection's opening was not, as ``datagrams`` are."""
    old = flows.filter(
        pl.col("protocol") == _TCP, pl.col("fwd_isn").is_null() | pl.col("rev_isn").is_null()
    )["flow"]  # fmt: skip
    data = (
        events.lazy()
        .filter(pl.col("kind") == _DATA, pl.col("digest") != 0, pl.col("flags") != 0)
        .select(
            "flow", "point", "leg", "half", "ttl", "time_ns", key=pl.struct("seq", "ack", "length", "digest").hash()
        )
        .collect()
    )
    wanted = data.filter(pl.col("flow").is_in(old.implode()))["key"].unique()
    return data.filter(pl.col("key").is_in(wanted.implode()))


def _answered(datagrams: pl.DataFrame) -> pl.DataFrame:
    """``o`` and ``doubt`` of datagrams that two points saw together with the answer, by ``point`` and ``point_b``."""
    once = datagrams.select("key", "point", "leg", "half", "ttl", "time_ns").filter(pl.len().over("key", "point") == 1)
    once = once.filter(pl.len().over("key").is_between(2, _CROWD))
    met = once.join(once, ["key", "half"], suffix="_b").filter(
        pl.col("point") < pl.col("point_b"), (pl.col("leg") == pl.col("leg_b")) | (pl.col("ttl") != pl.col("ttl_b"))
    )
    there = pl.col("time_ns_b") - pl.col("time_ns")
    way = ["point", "point_b", "leg", "leg_b"]
    seen = met.group_by(way, maintain_order=True).agg(
        pl.col("time_ns").min().alias("syn_ns"),
        pl.col("time_ns_b").min().alias("syn_ns_b"),
        f=there.filter(pl.col("half") == 0).min(),
        g=(-there.filter(pl.col("half") == 1)).min(),
        asked_ns=_quickest(there, 0),
        answered_ns=_quickest(-there, 1),
    )
    f, g = pl.col("f"), pl.col("g")
    drift = meanwhile((pl.col("answered_ns") - pl.col("asked_ns")).abs() + (f + g).abs())
    known = seen.drop_nulls(["f", "g"]).with_columns(o=(f - g) // 2, doubt=(f + g).abs() // 2 + 1 + drift)
    return known.sort("point", "point_b", "syn_ns")


def _quickest(way: pl.Expr, half: int) -> pl.Expr:
    """When the packet of a half that was shortest under way left."""
    one = pl.col("half") == half
    return pl.col("time_ns").filter(one).sort_by(way.filter(one)).first()


def _one_way(pairs: pl.DataFrame) -> list[tuple[int, int, int, int]]:
    """Offsets from SYNs alone: the way there counts as doubt, and a large offset needs several that agree.

    How long the way is remains unknown, so it may be as long as packets usually are under way.
    """
    seen = pairs.select("point", "point_b", f=pl.col("syn_ns_b") - pl.col("syn_ns"))
    grouped = seen.group_by("point", "point_b", maintain_order=True).agg(
        pl.col("f").median().cast(pl.Int64),
        pl.len().alias("count"),
        spread=((pl.col("f") - pl.col("f").median()).abs()).median().cast(pl.Int64),
        farthest=((pl.col("f") - pl.col("f").median()).abs()).max().cast(pl.Int64),
    )
    near = pl.col("f").abs() <= _USUAL_NS
    agreed = (pl.col("count") >= 3) & (pl.col("spread") <= _AGREED_NS)
    doubt = (pl.when(near).then(pl.col("f").abs()).otherwise(pl.col("farthest") + _AGREED_NS) + 1).alias("doubt")
    return grouped.filter(near | agreed).select("point", "point_b", "f", doubt).rows()
