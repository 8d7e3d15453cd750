"""Packets that two legs have in common: the evidence that a join rests on.

A translator that passes TCP through leaves sequence numbers and payload alone, so the same SYN, SYN-ACK or data segment
is met on both legs. Each meeting tells how far apart in time the two copies are, and how much TTL was lost between
them.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.datagrams import met_datagrams
from flowscope.nat.ranges import overlapping
from flowscope.nat.shifted import shifted_segments

_TCP = 6
_SYN, _SYN_ACK = 0, 1
#: Segments that carry data or end the connection, repeats included.
_SEGMENTS = (8, 6, 3, 2)

#: Legs with one ISN are compared with so many neighbours in time: a file full of equal ISNs stays bounded.
_NEIGHBOURS = 24
#: Copies of one data segment are compared with so many neighbours in time; a twin is never far.
_SEGMENT_NEIGHBOURS = 6
#: A connection that says nothing for longer between the parts that two points saw is not believed to be one.
_SILENT_NS = 60_000_000_000

MEETINGS = {
    "a": pl.UInt64,
    "b": pl.UInt64,
    "by": pl.String,
    "crowd": pl.UInt32,
    "shared": pl.UInt32,
    "ways": pl.UInt8,
    "half": pl.UInt8,
    "turned": pl.Boolean,
    "gap_ns": pl.Int64,
    "drop": pl.Int16,
    "same_point": pl.Boolean,
    "same_clock": pl.Boolean,
    "same_id": pl.Boolean,
    "same_tsval": pl.Boolean,
    "ip_id": pl.UInt16,
    "tsval": pl.UInt32,
}
"""Columns of :func:`meetings`: two legs, the kind of packet (``syn``, ``syn-ack``, ``data``, ``shift``, ``datagram``,
``range``), how many legs have such a packet, how many packets the two share, in how many directions (of datagrams and
ranges; else 1), the half it belongs to on leg ``a``, whether ``b`` has it in the other half, and of the two copies
nearest in time: ``b`` minus ``a``, TTL of ``a`` minus ``b``, and what they have in common."""


def meetings(
    legs: pl.DataFrame, flows: pl.DataFrame, events: pl.DataFrame, datagrams: pl.DataFrame, islands: pl.DataFrame
) -> pl.DataFrame:
    """Pairs of legs that share a packet, one row per pair and kind; columns as in :data:`MEETINGS`.

    Args:
        legs: as :func:`flowscope.nat.legs.leg_table` returns them.
        flows: with ``leg``.
        events: with ``leg``, ``point`` and ``at_ns``.
        datagrams: as :func:`flowscope.nat.datagrams.datagrams` returns them.
        islands: columns ``point`` and ``island`` of :attr:`flowscope.nat.clocks.Clocks.islands`.
    """
    tcp = legs.filter(pl.col("protocol") == _TCP)
    opened = _neighbours(tcp.filter(pl.col("fwd_isn").is_not_null()), ["fwd_isn"], "syn")
    missing = tcp.filter(pl.col("fwd_isn").is_null())["leg"]
    answered = _neighbours(tcp.filter(pl.col("rev_isn").is_not_null()), ["rev_isn"], "syn-ack")
    answered = answered.filter(pl.col("a").is_in(missing.implode()) | pl.col("b").is_in(missing.implode()))
    return pl.concat(
        [
            _nearest(pl.concat([opened, answered]), events, islands),
            _segments(events, islands, missing),
            met_segments(shifted_segments(legs, events), islands, "shift"),
            _datagrams(datagrams, islands),
            _ranges(flows, islands, missing),
        ]
    )


def given_up(legs: pl.DataFrame) -> list[str]:
    """What :func:`meetings` did not compare, in one sentence; nothing when it compared everything.

    Equal first sequence numbers on many connections are a flood, a scanner, or a file made to cost time.
    """
    crowds = (
        legs.filter(pl.col("protocol") == _TCP, pl.col("fwd_isn").is_not_null())
        .group_by("fwd_isn")
        .len()
        .filter(pl.col("len") > _NEIGHBOURS + 1)
    )
    if not crowds.height:
        return []
    return [
        f"{crowds['len'].sum():,} connections share their first sequence number with more than {_NEIGHBOURS} others; "
        f"each was compared with its {_NEIGHBOURS} nearest in time only, so a translation may have been missed."
    ]


def _neighbours(legs: pl.DataFrame, key: list[str], by: str) -> pl.DataFrame:
    """Pairs ``a``, ``b`` of legs with one key, each with its next neighbours in time; ``crowd`` = legs of that key."""
    schema = {"a": pl.UInt64, "b": pl.UInt64, "crowd": pl.UInt32, "by": pl.String}
    shared = legs.filter(pl.col(key[0]).is_duplicated()).select("leg", "at_ns", "fwd_syn_layout", *key)
    shared = shared.sort(*key, "at_ns", "leg")
    shared = shared.with_columns(crowd=pl.len().over(key).cast(pl.UInt32)).filter(pl.col("crowd") > 1)
    if not shared.height:
        return pl.DataFrame(schema=schema)
    found = []
    for step in range(1, _reach(shared, _NEIGHBOURS) + 1):
        same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(-step) for name in key)
        # A snap length may have left too little of the options to compare.
        layout = pl.col("fwd_syn_layout")
        alike = (layout == layout.shift(-step)).fill_null(value=True)
        pairs = shared.select(a="leg", b=pl.col("leg").shift(-step), crowd="crowd", same=same & alike)
        found.append(pairs.filter("same").drop("same"))
    return pl.concat(found).with_columns(by=pl.lit(by))


def _reach(crowded: pl.DataFrame, most: int) -> int:
    largest = crowded["crowd"].max()
    return min(most, int(largest) - 1) if isinstance(largest, int) else 0


def _nearest(pairs: pl.DataFrame, events: pl.DataFrame, islands: pl.DataFrame) -> pl.DataFrame:
    """The two copies of the opening packet, one of each leg, that lie nearest in time.

    A balancer may drop the first tries and forward the third, so every copy counts. Copies at one point are the better
    witnesses: one clock, and both TTLs were read on the same wire.
    """
    if not pairs.height:
        return pl.DataFrame(schema=MEETINGS)
    kind = pl.col("kind").replace_strict({_SYN: "syn", _SYN_ACK: "syn-ack"}, default=None, return_dtype=pl.String)
    wanted = pl.concat([pairs["a"], pairs["b"]]).unique()
    copies = (
        events.lazy()
        .filter(pl.col("kind").is_in([_SYN, _SYN_ACK]), pl.col("leg").is_in(wanted.implode()))
        .select("leg", "point", "at_ns", "ttl", "ip_id", "tsval", kind.alias("by"))
        .collect()
        .join(islands.select("point", "island"), "point")
    )
    met = (
        pairs.join(copies, left_on=["a", "by"], right_on=["leg", "by"])
        .join(copies, left_on=["b", "by"], right_on=["leg", "by"], suffix="_b")
        .with_columns(*_compared())
    )
    order = ["same_point", "same_clock", "same_id", "same_tsval"]
    return (
        met.sort(*order, pl.col("gap_ns").abs(), descending=[True] * len(order) + [False])
        .unique(["a", "b", "by"], keep="first", maintain_order=True)
        .with_columns(
            shared=pl.lit(1, pl.UInt32),
            ways=pl.lit(1, pl.UInt8),
            half=(pl.col("by") == "syn-ack").cast(pl.UInt8),
            turned=pl.lit(value=False),
        )
        .select(*(pl.col(name).cast(kind) for name, kind in MEETINGS.items()))
    )


def _compared() -> list[pl.Expr]:
    """What two copies of a packet (the second with suffix ``_b``) tell."""
    return [
        (pl.col("at_ns_b") - pl.col("at_ns")).alias("gap_ns"),
        (pl.col("ttl").cast(pl.Int16) - pl.col("ttl_b").cast(pl.Int16)).alias("drop"),
        *(
            (pl.col(name) == pl.col(f"{name}_b")).alias(alias)
            for name, alias in (
                ("point", "same_point"),
                ("island", "same_clock"),
                ("ip_id", "same_id"),
                ("tsval", "same_tsval"),
            )
        ),
    ]


def _datagrams(datagrams: pl.DataFrame, islands: pl.DataFrame) -> pl.DataFrame:
    if not datagrams.height:
        return pl.DataFrame(schema=MEETINGS)
    met = met_datagrams(datagrams, islands.select("point", "island"), _compared())
    return met.with_columns(by=pl.lit("datagram")).select(*(pl.col(name).cast(kind) for name, kind in MEETINGS.items()))


def _ranges(flows: pl.DataFrame, islands: pl.DataFrame, missing: pl.Series) -> pl.DataFrame:
    """Legs that carry one stretch of sequence numbers, where at least one of them has no SYN."""
    met = overlapping(flows, missing) if missing.len() and flows["point"].n_unique() > 1 else pl.DataFrame()
    if not met.height:
        return pl.DataFrame(schema=MEETINGS)
    island = dict(islands.select("point", "island").iter_rows())
    where = [pl.col(name).replace_strict(island, return_dtype=pl.Int64) for name in ("point", "point_b")]
    # A replay has the same numbers, at another time.
    now = (where[0] != where[1]) | (pl.col("apart_ns") <= _SILENT_NS)
    return (
        met.filter(now)
        .with_columns(
            by=pl.lit("range"),
            crowd=pl.lit(2),
            shared=pl.lit(1),
            ways=pl.lit(2),
            half=pl.lit(0),
            same_point=pl.col("point") == pl.col("point_b"),
            same_clock=where[0] == where[1],
            same_id=pl.lit(value=True),
            same_tsval=pl.lit(value=True),
            ip_id=pl.lit(0),
            tsval=pl.lit(0),
        )
        .select(*(pl.col(name).cast(kind) for name, kind in MEETINGS.items()))
    )


def _segments(events: pl.DataFrame, islands: pl.DataFrame, missing: pl.Series) -> pl.DataFrame:
    """Segments with data, FIN or RST that two legs share, where at least one of them has no SYN.

    Packets overtake one another and some are lost, so any early segment will do, not only the first. The length is left
    out: offload may have merged what follows.
    """
    if not missing.len():
        return pl.DataFrame(schema=MEETINGS)
    # Most segments belong to connections whose SYN was seen: they are left behind before anything is copied.
    segments = (
        events.lazy()
        .filter(pl.col("kind").is_in(_SEGMENTS), (pl.col("digest") != 0) | (pl.col("ack") != 0))
        .select("leg", "half", "point", "at_ns", "ttl", "ip_id", "tsval", key=pl.struct("seq", "ack", "digest").hash())
    )
    keys = segments.filter(pl.col("leg").is_in(missing.implode())).select("key").unique().collect()["key"]
    return met_segments(segments.filter(pl.col("key").is_in(keys.implode())).collect(), islands, "data")


def met_segments(data: pl.DataFrame, islands: pl.DataFrame, by: str) -> pl.DataFrame:
    """Pairs of legs that have segments with one ``key``; columns as in :data:`MEETINGS`.

    Args:
        data: columns ``leg``, ``half``, ``point``, ``at_ns``, ``ttl``, ``ip_id``, ``tsval``, ``key``.
        islands: as for :func:`meetings`.
        by: name of the kind of packets.
    """
    data = data.join(islands.select("point", "island"), "point").sort("key", "at_ns", "leg")
    data = data.with_columns(crowd=pl.col("leg").n_unique().over("key").cast(pl.UInt32)).filter(pl.col("crowd") > 1)
    if not data.height:
        return pl.DataFrame(schema=MEETINGS)
    copied = ("leg", "half", "point", "island", "at_ns", "ttl", "ip_id", "tsval", "key")
    found = []
    for step in range(1, _reach(data, _SEGMENT_NEIGHBOURS) + 1):
        ahead = data.with_columns(pl.col(name).shift(-step).alias(f"{name}_b") for name in copied)
        found.append(ahead.filter(pl.col("key") == pl.col("key_b"), pl.col("leg") != pl.col("leg_b")))
    met = pl.concat(found).with_columns(*_compared())
    # The same pair may stand in either order of time from segment to segment; the lower leg goes first.
    swap = pl.col("leg") > pl.col("leg_b")
    met = met.with_columns(
        a=pl.min_horizontal("leg", "leg_b"),
        b=pl.max_horizontal("leg", "leg_b"),
        gap_ns=pl.when(swap).then(-pl.col("gap_ns")).otherwise(pl.col("gap_ns")),
        drop=pl.when(swap).then(-pl.col("drop")).otherwise(pl.col("drop")),
        turned=pl.col("half") != pl.col("half_b"),
        half=pl.when(swap).then("half_b").otherwise("half"),
        by=pl.lit(by),
        ways=pl.lit(1, pl.UInt8),
    )
    shared = met.group_by("a", "b").agg(pl.col("key").n_unique().cast(pl.UInt32).alias("shared"))
    order = ["same_point", "same_clock", "same_id", "same_tsval"]
    # Packets of the initiator tell best which leg is upstream.
    return (
        met.sort(*order, "half", pl.col("gap_ns").abs(), descending=[True] * len(order) + [False, False])
        .unique(["a", "b"], keep="first", maintain_order=True)
        .join(shared, ["a", "b"])
        .select(*(pl.col(name).cast(kind) for name, kind in MEETINGS.items()))
    )
