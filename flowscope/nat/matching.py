"""Which legs are one connection on two sides of a translator, and how sure that is.

A translator that passes TCP through keeps both ISNs, the options, the IP identification and the timestamps of a SYN,
and lowers its TTL. Each kept value is worth bits; what contradicts costs them. Candidates share the client ISN (or,
where no SYN was captured, the server's). A leg picks its predecessor, never the reverse: one client leg may have
several server legs. Where two predecessors fit as well, nothing is joined and the path says so.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import address_numbers
from flowscope.nat.topology import Topology

_TCP = 6
_SYN, _SYN_ACK = 0, 1

#: Legs with one ISN are compared with so many neighbours in time: a file full of equal ISNs stays bounded.
_NEIGHBOURS = 24
#: Bits a join needs, and bits by which it must beat the runner-up.
_ENOUGH = 14.0
_MARGIN = 3.0
#: Nothing that forwards packets holds a SYN for longer.
_LONGEST_WAIT_NS = 4_000_000_000
#: A translation without a lower TTL (a switch that rewrites) is believed only within this time.
_PROMPT_NS = 1_000_000_000

JOINS = {
    "leg": pl.UInt64,
    "before": pl.UInt64,
    "bits": pl.Float64,
    "margin": pl.Float64,
    "ambiguous": pl.Boolean,
    "method": pl.String,
    "requests": pl.UInt32,
}
"""Columns of :func:`join_legs`."""


def join_legs(
    legs: pl.DataFrame, events: pl.DataFrame, islands: pl.DataFrame, addresses: pl.DataFrame, topology: Topology
) -> pl.DataFrame:
    """For each leg the leg it continues across a translator, where there is one.

    Args:
        legs: as :func:`flowscope.nat.legs.leg_table` returns them.
        events: with ``leg``, ``point`` and ``at_ns`` (time on the reference clock).
        islands: columns ``point`` and ``island`` of :func:`flowscope.nat.clocks.clock_offsets`.
        addresses: the core's address table.
        topology: what is known of the balancer.

    Returns:
        Columns as in :data:`JOINS`; ``before`` is null where two candidates fit as well (``ambiguous``).
    """
    pairs = _candidates(legs)
    if not pairs.height:
        return pl.DataFrame(schema=JOINS)
    pairs = pairs.join(_nearest(pairs, events, islands), ["a", "b", "by"], how="inner")
    pairs = _directed(pairs)
    pairs = _described(pairs, legs, addresses, topology)
    return _chosen(_scored(pairs))


def _candidates(legs: pl.DataFrame) -> pl.DataFrame:
    """Pairs of legs with one client ISN and SYN layout, or with one server ISN where a SYN is missing."""
    tcp = legs.filter(pl.col("protocol") == _TCP)
    both = _neighbours(tcp.filter(pl.col("fwd_isn").is_not_null()), ["fwd_isn", "fwd_syn_layout"], "syn")
    answered = tcp.filter(pl.col("rev_isn").is_not_null())
    by_answer = _neighbours(answered, ["rev_isn"], "syn-ack")
    if by_answer.height:
        missing = legs.filter(pl.col("fwd_isn").is_null())["leg"].implode()
        by_answer = by_answer.filter(pl.col("a").is_in(missing) | pl.col("b").is_in(missing))
    return pl.concat([both, by_answer])


def _neighbours(legs: pl.DataFrame, key: list[str], by: str) -> pl.DataFrame:
    """Pairs ``a``, ``b`` of legs with one key, each with its next neighbours in time; ``crowd`` = legs of that key."""
    schema = {"a": pl.UInt64, "b": pl.UInt64, "crowd": pl.UInt32, "by": pl.String}
    if not legs.height:
        return pl.DataFrame(schema=schema)
    shared = legs.filter(pl.col(key[0]).is_duplicated()).select("leg", "at_ns", *key).sort(*key, "at_ns", "leg")
    shared = shared.with_columns(crowd=pl.len().over(key).cast(pl.UInt32)).filter(pl.col("crowd") > 1)
    if not shared.height:
        return pl.DataFrame(schema=schema)
    most = min(_NEIGHBOURS, int(shared["crowd"].max() or 1) - 1)  # type: ignore[arg-type]
    found = []
    for step in range(1, most + 1):
        same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(-step) for name in key)
        found.append(
            shared.select(
                pl.col("leg").alias("a"), pl.col("leg").shift(-step).alias("b"), "crowd", same.alias("same")
            ).filter(pl.col("same"))
        )
    return pl.concat(found).select("a", "b", "crowd", pl.lit(by).alias("by"))


def _nearest(pairs: pl.DataFrame, events: pl.DataFrame, islands: pl.DataFrame) -> pl.DataFrame:
    """The two copies of the opening packet, one of each leg, that lie nearest in time.

    A balancer may drop the first tries and forward the third, so every copy counts. Copies at one point are the better
    witnesses: one clock, and both TTLs were read on the same wire.
    """
    kind = pl.col("kind").replace_strict({_SYN: "syn", _SYN_ACK: "syn-ack"}, default=None, return_dtype=pl.String)
    wanted = pl.concat([pairs["a"], pairs["b"]]).unique()
    copies = (
        events.filter(pl.col("kind").is_in([_SYN, _SYN_ACK]))
        .filter(pl.col("leg").is_in(wanted.implode()))
        .join(islands.select("point", "island"), "point")
        .select("leg", "point", "island", "at_ns", "ttl", "ip_id", "tsval", kind.alias("by"))
    )
    met = (
        pairs.select("a", "b", "by")
        .join(copies, left_on=["a", "by"], right_on=["leg", "by"])
        .join(copies, left_on=["b", "by"], right_on=["leg", "by"], suffix="_b")
        .with_columns(
            gap_ns=pl.col("at_ns_b") - pl.col("at_ns"),
            drop=pl.col("ttl").cast(pl.Int16) - pl.col("ttl_b").cast(pl.Int16),
            same_point=pl.col("point") == pl.col("point_b"),
            same_clock=pl.col("island") == pl.col("island_b"),
            same_id=pl.col("ip_id") == pl.col("ip_id_b"),
            same_tsval=pl.col("tsval") == pl.col("tsval_b"),
        )
    )
    order = ["same_point", "same_clock", "same_id", "same_tsval"]
    return (
        met.sort(*order, pl.col("gap_ns").abs(), descending=[True] * len(order) + [False])
        .unique(["a", "b", "by"], keep="first", maintain_order=True)
        .select("a", "b", "by", "gap_ns", "drop", "ip_id", "tsval", "same_point", "same_clock", "same_id", "same_tsval")
    )


def _directed(pairs: pl.DataFrame) -> pl.DataFrame:
    """Turns pairs so that ``a`` is upstream of ``b`` as the client's packets travel: higher TTL, else earlier."""
    # On the way back the answer loses its TTL towards the client.
    turned = pl.when(pl.col("by") == "syn-ack").then(-pl.col("drop")).otherwise(pl.col("drop"))
    later = pl.when(pl.col("by") == "syn-ack").then(-pl.col("gap_ns")).otherwise(pl.col("gap_ns"))
    pairs = pairs.with_columns(drop=turned, gap_ns=later)
    swap = (pl.col("drop") < 0) | ((pl.col("drop") == 0) & (pl.col("gap_ns") < 0))
    return pairs.with_columns(
        a=pl.when(swap).then("b").otherwise("a"),
        b=pl.when(swap).then("a").otherwise("b"),
        drop=pl.when(swap).then(-pl.col("drop")).otherwise(pl.col("drop")),
        gap_ns=pl.when(swap).then(-pl.col("gap_ns")).otherwise(pl.col("gap_ns")),
    )


def _described(pairs: pl.DataFrame, legs: pl.DataFrame, addresses: pl.DataFrame, topology: Topology) -> pl.DataFrame:
    """Adds what the two legs have in common: endpoints kept, ISNs, and whether the topology expects the join."""
    sides = legs.select("leg", "src", "src_port", "dst", "dst_port", "fwd_isn", "rev_isn", "fwd_syn_window")
    pairs = pairs.join(sides, left_on="a", right_on="leg").join(sides, left_on="b", right_on="leg", suffix="_b")
    frontends = pl.Series(
        address_numbers(addresses, (one.address for one in topology.frontends)).values(), dtype=pl.UInt32
    )
    return pairs.with_columns(
        src_kept=(pl.col("src") == pl.col("src_b")) & (pl.col("src_port") == pl.col("src_port_b")),
        src_address_kept=pl.col("src") == pl.col("src_b"),
        src_port_kept=pl.col("src_port") == pl.col("src_port_b"),
        dst_kept=(pl.col("dst") == pl.col("dst_b")) & (pl.col("dst_port") == pl.col("dst_port_b")),
        reversed=(pl.col("src") == pl.col("dst_b")) & (pl.col("src_port") == pl.col("dst_port_b")),
        to_itself=(pl.col("src_b") == pl.col("dst_b")) & (pl.col("src") == pl.col("src_b")),
        same_answer=pl.col("rev_isn") == pl.col("rev_isn_b"),
        same_window=pl.col("fwd_syn_window") == pl.col("fwd_syn_window_b"),
        expected=pl.col("dst").is_in(frontends.implode()),
    )


def _scored(pairs: pl.DataFrame) -> pl.DataFrame:
    """Keeps the pairs that may be joined and adds ``bits``."""
    distance = pl.col("gap_ns").abs()
    answered = pl.col("same_answer").fill_null(value=False)
    contradicted = ~pl.col("same_answer").fill_null(value=True)
    # Without a lower TTL a replay under other addresses looks the same, so something else must tie the two.
    tied = answered & (pl.col("src_kept") | pl.col("dst_kept") | pl.col("expected"))
    rewritten = (tied | pl.col("to_itself")) & (distance <= _PROMPT_NS)
    possible = (
        ~contradicted
        & ~pl.col("reversed")
        & ((pl.col("drop") > 0) | rewritten)
        & (pl.col("same_clock") & (distance <= _LONGEST_WAIT_NS) | ~pl.col("same_clock") & answered)
        # At one point the copy cannot come before the original.
        & ~(pl.col("same_point") & (pl.col("gap_ns") < 0) & (distance > 1_000_000))
    )
    near = pl.when(~pl.col("same_clock")).then(0.0).otherwise(
        pl.when(distance <= 2_000_000).then(6.0).when(distance <= 100_000_000).then(3.0)
        .when(distance <= 1_000_000_000).then(0.0).otherwise(-8.0)
    )  # fmt: skip
    drop = pl.col("drop")
    bits = (
        20.0
        - (pl.col("crowd").cast(pl.Float64) - 1).log(2)
        + answered.cast(pl.Float64) * 20
        + pl.when("src_kept")
        .then(14.0)
        .when("src_address_kept")
        .then(6.0)
        .when("src_port_kept")
        .then(4.0)
        .otherwise(0.0)
        + pl.when("dst_kept").then(6.0).otherwise(0.0)
        + pl.when(pl.col("same_id") & (pl.col("ip_id") != 0))
        .then(8.0)
        .when(~pl.col("same_id"))
        .then(-4.0)
        .otherwise(0.0)
        + pl.when(pl.col("same_tsval") & (pl.col("tsval") != 0)).then(6.0).otherwise(0.0)
        + pl.when(pl.col("same_window").fill_null(value=True)).then(0.0).otherwise(-6.0)
        + pl.when(drop <= 0).then(-8.0).otherwise(6.0 - drop.clip(1, 6).cast(pl.Float64))
        + near
        + pl.when("expected").then(6.0).otherwise(0.0)
        - 20.0
    )
    return pairs.filter(possible).with_columns(bits=bits).filter(pl.col("bits") >= _ENOUGH)


def _chosen(pairs: pl.DataFrame) -> pl.DataFrame:
    """For each leg its best predecessor, and by how much it is the best."""
    if not pairs.height:
        return pl.DataFrame(schema=JOINS)
    ranked = pairs.unique(["a", "b"], keep="first", maintain_order=True).sort(
        "b", "bits", pl.col("gap_ns").abs(), "a", descending=[False, True, False, False]
    )
    ranked = ranked.with_columns(
        first=pl.col("a").first().over("b"),
        best=pl.col("bits").first().over("b"),
        place=pl.int_range(pl.len()).over("b"),
    )
    # In a chain of translators the first leg fits as well as the second; it is no rival, it is the same path.
    related = ranked.select(pl.col("a").alias("one"), pl.col("b").alias("other"))
    related = pl.concat([related, related.select(pl.col("other").alias("one"), pl.col("one").alias("other"))])
    rivals = (
        ranked.filter(pl.col("place") > 0)
        .join(related.unique(), left_on=["a", "first"], right_on=["one", "other"], how="anti")
        .group_by("b")
        .agg(pl.col("bits").max().alias("rival"))
    )
    best = ranked.filter(pl.col("place") == 0).join(rivals, "b", how="left")
    margin = pl.col("best") - pl.col("rival").fill_null(0.0)
    return best.with_columns(margin=margin, ambiguous=pl.col("rival").is_not_null() & (margin < _MARGIN)).select(
        pl.col("b").alias("leg"),
        pl.when(~pl.col("ambiguous")).then("a").alias("before"),
        "bits",
        "margin",
        "ambiguous",
        pl.when("src_kept").then(pl.lit("tuple")).otherwise(pl.lit("isn")).alias("method"),
        pl.lit(None, pl.UInt32).alias("requests"),
    )
