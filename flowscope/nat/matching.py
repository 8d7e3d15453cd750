"""Which legs are one connection on two sides of a translator, and how sure that is.

A translator that passes TCP through keeps both ISNs, the options, the IP identification and the timestamps of a SYN,
and lowers its TTL. Each kept value is worth bits; what contradicts costs them. Candidates share a packet
(:mod:`flowscope.nat.witnesses`): the SYN, or where none was captured the SYN-ACK or a segment. A leg picks its
predecessor, never the reverse: one client leg may have several server legs. Where two predecessors fit as well,
nothing is joined and the path says so.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.chains import along_chains
from flowscope.nat.join_reasons import join_reasons
from flowscope.nat.look_alikes import answered_too_late, forwarded, mapped_back, unproven_ports
from flowscope.nat.numbers import address_numbers
from flowscope.nat.profile import UNTOLD, Profile
from flowscope.nat.retries import other_tries
from flowscope.nat.shifted import believable_shift, first_numbers
from flowscope.nat.topology import Topology
from flowscope.nat.tracked import TRANSLATIONS, tracked_pairs
from flowscope.nat.witnesses import meetings

#: Bits a join needs, and bits by which it must beat the runner-up.
_ENOUGH = 14.0
_MARGIN = 3.0
#: Nothing that forwards packets holds a SYN for longer; data waits less, for somebody waits for it.
_LONGEST_WAIT_NS = {
    "syn": 4_000_000_000,
    "syn-ack": 4_000_000_000,
    "data": 1_000_000_000,
    "shift": 1_000_000_000,
    "datagram": 1_000_000_000,
    "range": 1_000_000_000,
}
#: Of two partners, one this much nearer in time is the right one, unless both are within what a network needs.
_MUCH_NEARER = 16
_AS_GOOD_NS = 2_000_000
#: Renumbered connections tell nothing of clocks; hosts that keep time at all do not differ by more.
_USUAL_CLOCKS_NS = 5_000_000_000
#: Frames of several interfaces may stand in the file a little out of order. A relay sends on with a new TTL, so that of
#: datagrams the order tells which leg came first.
_BEFORE_NS = {"tcp": 1_000_000, "datagram": 20_000}
#: A translation without a lower TTL (a switch that rewrites) is believed only within this time.
_PROMPT_NS = 1_000_000_000

JOINS: dict[str, pl.DataType | type[pl.DataType]] = {
    "leg": pl.UInt64,
    "before": pl.UInt64,
    "bits": pl.Float64,
    "margin": pl.Float64,
    "ambiguous": pl.Boolean,
    "method": pl.String,
    "requests": pl.UInt32,
    "runner_up": pl.UInt64,
    "reasons": pl.List(pl.String),
    "turn": pl.UInt64,
}
"""Columns of :func:`join_legs`; ``runner_up`` is the leg that fits next best, ``reasons`` what the join rests on."""


def join_legs(
    legs: pl.DataFrame,
    flows: pl.DataFrame,
    events: pl.DataFrame,
    datagrams: pl.DataFrame,
    islands: pl.DataFrame,
    addresses: pl.DataFrame,
    topology: Topology,
    profile: Profile = UNTOLD,
    translations: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """For each leg the leg it continues across a translator, where there is one.

    Args:
        legs: as :func:`flowscope.nat.legs.leg_table` returns them.
        flows: with ``leg``.
        events: with ``leg``, ``point`` and ``at_ns`` (time on the reference clock).
        datagrams: as :func:`flowscope.nat.datagrams.datagrams` returns them.
        islands: columns ``point`` and ``island`` of :attr:`flowscope.nat.clocks.Clocks.islands`.
        addresses: the core's address table.
        topology: what is known of the balancer.
        profile: what is documented of it: what survives decides what a difference means.
        translations: what its kernel says it did, columns as in :data:`flowscope.nat.tracked.TRANSLATIONS`.

    Returns:
        Columns as in :data:`JOINS`; ``before`` is null where two candidates fit as well (``ambiguous``); ``turn``
        is the leg of the two whose halves must be exchanged so that both go the same way.
    """
    pairs = meetings(legs, flows, events, datagrams, islands)
    if not pairs.height:
        return pl.DataFrame(schema=JOINS)
    pairs = _directed(pairs, legs)
    pairs = _described(pairs, legs, first_numbers(legs, events), addresses, topology)
    said = pl.DataFrame(schema=TRANSLATIONS) if translations is None else translations
    late = answered_too_late(pairs, events)
    pairs = pairs.with_columns(tracked=tracked_pairs(pairs, legs, said, addresses), late=late)
    return _chosen(_mutual(_scored(pairs, profile), events))


def _directed(pairs: pl.DataFrame, legs: pl.DataFrame) -> pl.DataFrame:
    """Turns pairs so that ``a`` is upstream of ``b`` as the client's packets travel: higher TTL, else earlier."""
    known = legs.select("leg", "oriented")
    pairs = pairs.join(known, left_on="a", right_on="leg").join(known, left_on="b", right_on="leg", suffix="_b")
    # Where the legs disagree on who the client is, the one that knows better is right.
    trusted = pl.when(pl.col("turned") & (pl.col("oriented_b") < pl.col("oriented"))).then(1 - pl.col("half"))
    # On the way back a packet loses its TTL towards the client.
    back = trusted.otherwise(pl.col("half")) == 1
    pairs = pairs.with_columns(
        drop=pl.when(back).then(-pl.col("drop")).otherwise(pl.col("drop")),
        gap_ns=pl.when(back).then(-pl.col("gap_ns")).otherwise(pl.col("gap_ns")),
        turn=pl.when(pl.col("turned") & (pl.col("oriented_b") < pl.col("oriented"))).then("a").when("turned").then("b"),
    ).drop("oriented", "oriented_b")
    swap = (pl.col("drop") < 0) | ((pl.col("drop") == 0) & (pl.col("gap_ns") < 0))
    return pairs.with_columns(
        a=pl.when(swap).then("b").otherwise("a"),
        b=pl.when(swap).then("a").otherwise("b"),
        drop=pl.when(swap).then(-pl.col("drop")).otherwise(pl.col("drop")),
        gap_ns=pl.when(swap).then(-pl.col("gap_ns")).otherwise(pl.col("gap_ns")),
    )


def _described(
    pairs: pl.DataFrame, legs: pl.DataFrame, numbers: pl.DataFrame, addresses: pl.DataFrame, topology: Topology
) -> pl.DataFrame:
    """Adds what the two legs have in common: endpoints kept, ISNs, and whether the topology expects the join."""
    sides = legs.select("leg", "src", "src_port", "dst", "dst_port", "fwd_isn", "rev_isn", "fwd_syn_window")
    sides = sides.join(numbers.select("leg", first="fwd_isn"), "leg", how="left")
    pairs = pairs.join(sides, left_on="a", right_on="leg").join(sides, left_on="b", right_on="leg", suffix="_b")
    frontends = pl.Series(
        address_numbers(addresses, (one.address for one in topology.frontends)).values(), dtype=pl.UInt32
    )
    # The second leg goes the way that its packets went on the first, whatever its own first packet said.
    turned = pl.col("turned")
    pairs = pairs.with_columns(
        src_b=pl.when(turned).then("dst_b").otherwise("src_b"),
        dst_b=pl.when(turned).then("src_b").otherwise("dst_b"),
        src_port_b=pl.when(turned).then("dst_port_b").otherwise("src_port_b"),
        dst_port_b=pl.when(turned).then("src_port_b").otherwise("dst_port_b"),
        rev_isn_b=pl.when(turned).then("fwd_isn_b").otherwise("rev_isn_b"),
    )
    return pairs.with_columns(
        src_kept=(pl.col("src") == pl.col("src_b")) & (pl.col("src_port") == pl.col("src_port_b")),
        src_address_kept=pl.col("src") == pl.col("src_b"),
        src_port_kept=pl.col("src_port") == pl.col("src_port_b"),
        dst_kept=(pl.col("dst") == pl.col("dst_b")) & (pl.col("dst_port") == pl.col("dst_port_b")),
        reversed=(pl.col("src") == pl.col("dst_b")) & (pl.col("src_port") == pl.col("dst_port_b")),
        to_itself=mapped_back(),
        same_answer=pl.col("rev_isn") == pl.col("rev_isn_b"),
        same_isn=(pl.col("first") == pl.col("first_b")).fill_null(value=False),
        same_window=pl.col("fwd_syn_window") == pl.col("fwd_syn_window_b"),
        expected=pl.col("dst").is_in(frontends.implode()),
    )


def _scored(pairs: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Keeps the pairs that may be joined and adds ``bits``."""
    # Unless it is documented otherwise, a translator forwards as a router does and shifts no number.
    bridging = _fate(profile, "ttl") in ("same", "new") and _fate(profile, "client_isn") != "new"
    renumbering = "shifted" in (_fate(profile, "client_isn"), _fate(profile, "server_isn"))
    new_id = _fate(profile, "ip_id") == "new"
    distance = pl.col("gap_ns").abs()
    datagram = pl.col("by") == "datagram"
    answered = pl.col("same_answer").fill_null(value=False) | (pl.col("ways") == 2)
    # A translator that renumbers says so by a constant shift; then other numbers and early answers contradict nothing.
    shifted = pl.col("by") == "shift"
    contradicted = (~pl.col("same_answer").fill_null(value=True) | pl.col("late")) & ~shifted
    # Without a lower TTL a replay under other addresses looks the same, so something else must tie the two.
    # Of datagrams only the topology can: one sender asks several servers the same.
    kept = (pl.col("src_kept") | pl.col("dst_kept")) & ~datagram
    tied = (answered & (kept | pl.col("expected") | (bridging & ~datagram))) | pl.col("tracked")
    rewritten = (tied | pl.col("to_itself")) & (distance <= _PROMPT_NS)
    longest = pl.col("by").replace_strict(_LONGEST_WAIT_NS, return_dtype=pl.Int64)
    unclocked = answered | (shifted & (distance <= _USUAL_CLOCKS_NS))
    within = pl.when("same_clock").then(distance <= longest).otherwise(unclocked)
    possible = (
        ~contradicted
        & (~unproven_ports(answered) | pl.col("tracked"))
        & (~shifted | believable_shift(answered | renumbering))
        & ~pl.col("reversed")
        & (forwarded() | rewritten)
        & within
        # At one point the copy cannot come before the original.
        & ~(pl.col("same_point") & (pl.col("gap_ns") < 0) & (distance > _BEFORE_NS["tcp"]))
        & ~(datagram & pl.col("same_point") & (pl.col("gap_ns") < 0) & (distance > _BEFORE_NS["datagram"]))
    )
    # A copy made at once is likelier than one made later, by a bit for each doubling.
    near = pl.when("same_clock").then(8.0 - (1 + distance / 100_000).log(2)).otherwise(0.0)
    drop = pl.col("drop")
    bits = (
        20.0
        # A crowd is spread over time: that one of it stands near by accident is half accounted for by nearness.
        - (pl.col("crowd").cast(pl.Float64) - 1).log(2) / 2
        + answered.cast(pl.Float64) * 20
        + (datagram & ~answered).cast(pl.Float64) * 4
        + (pl.col("shared").cast(pl.Float64).clip(1, 4) - 1) * 6
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
        .then(0.0 if new_id else -4.0)
        .otherwise(0)
        + pl.when(pl.col("same_tsval") & (pl.col("tsval") != 0)).then(6.0).otherwise(0.0)
        + pl.when(pl.col("same_window").fill_null(value=True)).then(0.0).otherwise(-6.0)
        + pl.when(drop <= 0).then(0.0 if bridging else -8.0).otherwise(6.0 - drop.clip(1, 6).cast(pl.Float64))
        + near
        + pl.when("expected").then(6.0).otherwise(0.0)
        - 20.0
    )
    return pairs.filter(possible).with_columns(bits=bits).filter((pl.col("bits") >= _ENOUGH) | pl.col("tracked"))


def _fate(profile: Profile, field: str) -> str | None:
    """What is documented to become of a field; None when nothing is."""
    fact = profile.survives.get(field)
    return None if fact is None else fact.value


def _mutual(pairs: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Leaves out pairs of which either leg has a far nearer partner: a copy of the trace that happened to be near.

    Several server legs of one client leg all lie as near to it as packets can.

    Args:
        pairs: with ``bits``.
        events: with ``leg``.
    """
    if not pairs.height:
        return pairs
    # A pair met through several kinds of packets speaks through the strongest, the client's packets first.
    one, other = pl.min_horizontal("a", "b"), pl.max_horizontal("a", "b")
    single = (
        pairs.with_columns(_one=one, _other=other)
        .sort("bits", "half", descending=[True, False])
        .unique(["_one", "_other"], keep="first", maintain_order=True)
        .drop("_one", "_other")
    )
    distance = pl.when("same_clock").then(pl.col("gap_ns").abs())
    measured = single.with_columns(_distance=distance)
    both = pl.concat([measured.select(leg="a", d="_distance"), measured.select(leg="b", d="_distance")])
    nearest = both.group_by("leg").agg(pl.col("d").min().alias("_nearest"))
    measured = measured.join(nearest, left_on="a", right_on="leg", how="left").join(
        nearest, left_on="b", right_on="leg", how="left", suffix="_b"
    )
    limit = pl.max_horizontal(pl.min_horizontal("_nearest", "_nearest_b") * _MUCH_NEARER, pl.lit(_AS_GOOD_NS))
    far = (pl.col("_distance") > limit).fill_null(value=False) & ~pl.col("tracked")
    judged = measured.with_columns(far=far)
    kept = pl.concat([judged.filter(~pl.col("far")), other_tries(judged, events)])
    return kept.drop("_distance", "_nearest", "_nearest_b", "far")


def _chosen(pairs: pl.DataFrame) -> pl.DataFrame:
    """For each leg its best predecessor, and by how much it is the best."""
    if not pairs.height:
        return pl.DataFrame(schema=JOINS)
    # The translator's own word goes before any weight.
    ranked = pairs.sort(
        "b", "tracked", "bits", pl.col("gap_ns").abs(), "a", descending=[False, True, True, False, False]
    )
    ranked = along_chains(ranked)
    # In a chain of translators the first leg fits as well as the second; it is no rival, it is the same path.
    related = ranked.select(pl.col("a").alias("one"), pl.col("b").alias("other"))
    related = pl.concat([related, related.select(pl.col("other").alias("one"), pl.col("one").alias("other"))])
    rivals = (
        ranked.filter(pl.col("place") > 0)
        .join(related.unique(), left_on=["a", "first"], right_on=["one", "other"], how="anti")
        .group_by("b", maintain_order=True)
        .agg(rival=pl.col("bits").first(), runner_up=pl.col("a").first())
    )
    best = ranked.filter(pl.col("place") == 0).join(rivals, "b", how="left")
    margin = pl.col("best") - pl.col("rival").fill_null(0.0)
    return best.with_columns(
        margin=margin, ambiguous=pl.col("rival").is_not_null() & (margin < _MARGIN) & ~pl.col("tracked")
    ).select(
        pl.col("b").alias("leg"),
        pl.when(~pl.col("ambiguous")).then("a").alias("before"),
        "bits",
        "margin",
        "ambiguous",
        pl.when(pl.col("by") == "shift")
        .then(pl.lit("shift"))
        .when("src_kept")
        .then(pl.lit("tuple"))
        .when(pl.col("by").is_in(["data", "datagram", "range"]))
        .then(pl.lit("payload"))
        .otherwise(pl.lit("isn"))
        .alias("method"),
        pl.lit(None, pl.UInt32).alias("requests"),
        "runner_up",
        join_reasons().alias("reasons"),
        pl.when(~pl.col("ambiguous")).then("turn").alias("turn"),
    )
