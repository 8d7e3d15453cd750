"""Datagrams that two legs have in common: UDP and ICMP echo have no sequence numbers that a translator would keep.

What it keeps is the payload. DNS is known again by id and question, QUIC by its connection ids (also where an option
was added or the snap length differs), ICMP echo by sequence number and bytes, everything else by the first bytes. The
same datagram sent to two servers looks like a translation of one into the other; what tells them apart is the TTL,
lower on the way there and lower again on the way back.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import endpoint

_TCP, _UDP = 6, 17
_DATA = 8
#: A datagram found on more legs than this is compared among those only that share an endpoint or IP identification.
_CROWD = 16
#: Copies of one datagram are compared with so many neighbours in time.
_NEIGHBOURS = 6

_READ = ("leg", "half", "point", "time_ns", "ttl", "ip_id")

DATAGRAMS = {
    "leg": pl.UInt64,
    "half": pl.UInt8,
    "point": pl.UInt32,
    "time_ns": pl.Int64,
    "ttl": pl.UInt8,
    "ip_id": pl.UInt16,
    "key": pl.UInt64,
}
"""Columns of :func:`datagrams`."""


def datagrams(flows: pl.DataFrame, events: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """The first datagrams of every flow, each with a ``key`` that its copies elsewhere share.

    Args:
        flows: with ``leg``; row number = flow number.
        events: with ``leg`` and ``point``.
        messages: the core's message table.

    Returns:
        Columns as in :data:`DATAGRAMS`, only of datagrams that stand on several legs or at several points.
    """
    if (flows["protocol"] != _TCP).sum() < 2:
        return pl.DataFrame(schema=DATAGRAMS)
    # TCP segments have flags: most events are left behind before anything is copied.
    found = (
        events.lazy()
        .filter(pl.col("kind") == _DATA, pl.col("flags") == 0)
        .select("flow", "capture", "frame", "seq", "digest", *_READ)
        .collect()
    )
    of_flow = found["flow"]
    found = found.with_columns(
        flows[name].gather(of_flow) for name in ("protocol", "src", "src_port", "dst", "dst_port")
    )
    # An echo reply repeats its request.
    echo = pl.when(pl.col("protocol") != _UDP).then(pl.col("half") + 1).otherwise(0)
    found = found.filter(pl.col("protocol") != _TCP).with_columns(
        key=pl.struct("protocol", "seq", "digest", echo.alias("echo")).hash()
    )
    found = _named(found, messages).filter((pl.col("digest") != 0) | pl.col("named"))
    return _met(found).select(*(pl.col(name).cast(kind) for name, kind in DATAGRAMS.items()))


def _named(found: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """Where a datagram is a message, what the message says is its key; adds ``named``."""
    told = messages.filter(pl.col("kind").str.starts_with("dns-") | pl.col("kind").str.starts_with("quic-"))
    told = told.filter(pl.col("token").is_not_null())
    if not told.height:
        return found.with_columns(named=pl.lit(value=False))
    said = told.select(
        "flow", "capture", frame="first_frame", said=pl.struct("kind", "token", "method", "target").hash()
    )
    # A frame may hold several datagrams of one flow only in tunnels that nobody has; the first counts.
    said = said.unique(["flow", "capture", "frame"], keep="first", maintain_order=True)
    joined = found.join(said, ["flow", "capture", "frame"], how="left", maintain_order="left")
    return joined.with_columns(key=pl.coalesce("said", "key"), named=pl.col("said").is_not_null()).drop("said")


def _met(found: pl.DataFrame) -> pl.DataFrame:
    """Leaves the datagrams that stand on several legs or at several points, and breaks up crowds."""
    places = found.select("key", "leg", "point").unique()
    crowds = places.filter(pl.col("key").is_duplicated()).group_by("key").agg(legs=pl.col("leg").n_unique())
    few = crowds.filter(pl.col("legs") <= _CROWD)["key"]
    many = crowds.filter(pl.col("legs") > _CROWD)["key"]
    kept = found.filter(pl.col("key").is_in(few.implode()))
    if not many.len():
        return kept
    # Everybody sends the same: only what else was kept can tell.
    alike = found.filter(pl.col("key").is_in(many.implode()))
    numbered = alike.filter(pl.col("ip_id") != 0)
    narrower = pl.concat(
        [
            *(alike.with_columns(key=pl.struct("key", "ip_id", end=endpoint(side)).hash()) for side in ("src", "dst")),
            numbered.with_columns(key=pl.struct("key", "ip_id").hash()),
        ]
    )
    places = narrower.select("key", "leg", "point").unique()
    crowds = places.filter(pl.col("key").is_duplicated()).group_by("key").agg(legs=pl.col("leg").n_unique())
    few = crowds.filter(pl.col("legs") <= _CROWD)["key"]
    return pl.concat([kept, narrower.filter(pl.col("key").is_in(few.implode()))])


def met_datagrams(found: pl.DataFrame, islands: pl.DataFrame, compared: list[pl.Expr]) -> pl.DataFrame:
    """Pairs of legs that have datagrams in common, one row per pair.

    Args:
        found: columns as in :data:`DATAGRAMS`, and ``at_ns`` (time on the reference clock).
        islands: columns ``point`` and ``island`` of :attr:`flowscope.nat.clocks.Clocks.islands`.
        compared: what two copies tell, the second with suffix ``_b``.

    Returns:
        ``a`` and ``b`` (the lower leg first), the columns of ``compared``, ``half``, ``turned``, ``crowd``, ``shared``,
        ``ways`` (2 when datagrams of both directions are shared), ``ip_id``, ``tsval`` (0).
    """
    data = found.join(islands, "point").with_columns(tsval=pl.lit(0, pl.UInt32)).sort("key", "at_ns", "leg", "point")
    data = data.with_columns(crowd=pl.col("leg").n_unique().over("key").cast(pl.UInt32)).filter(pl.col("crowd") > 1)
    copied = ("leg", "half", "point", "island", "at_ns", "ttl", "ip_id", "tsval", "key")
    pairs = []
    for step in range(1, _NEIGHBOURS + 1):
        ahead = data.with_columns(pl.col(name).shift(-step).alias(f"{name}_b") for name in copied)
        ahead = ahead.filter(pl.col("key") == pl.col("key_b"), pl.col("leg") != pl.col("leg_b"))
        swap = pl.col("leg") > pl.col("leg_b")
        pairs.append(
            ahead.with_columns(
                *(pl.when(swap).then(f"{name}_b").otherwise(name).alias(name) for name in copied),
                *(pl.when(swap).then(name).otherwise(f"{name}_b").alias(f"{name}_b") for name in copied),
            )
        )
    met = pl.concat(pairs).with_columns(*compared, turned=pl.col("half") != pl.col("half_b"))
    met = _one_way_round(met.rename({"leg": "a", "leg_b": "b"}))
    order = ["same_point", "same_clock", "same_id"]
    best = met.sort(*order, pl.col("gap_ns").abs(), descending=[True, True, True, False]).unique(
        ["a", "b", "half"], keep="first", maintain_order=True
    )
    shared = met.group_by("a", "b").agg(
        shared=pl.col("key").n_unique().cast(pl.UInt32), ways=pl.col("half").n_unique().cast(pl.UInt8)
    )
    there = best.sort("half").unique(["a", "b"], keep="first", maintain_order=True)
    back = best.filter(pl.col("half") == 1).select("a", "b", back_drop="drop")
    there = there.join(shared, ["a", "b"]).join(back, ["a", "b"], how="left")
    # On the way back it is the other leg where the TTL is lower.
    steady = (pl.col("ways") < 2) | (pl.col("drop").sign() == -pl.col("back_drop").sign())
    return there.filter(steady.fill_null(value=True)).drop("back_drop")


def _one_way_round(met: pl.DataFrame) -> pl.DataFrame:
    """Of pairs that meet both ways round (echo services) the way that more datagrams speak for, else the plain one."""
    votes = met.group_by("a", "b", "turned").agg(votes=pl.col("key").n_unique())
    chosen = votes.sort("a", "b", "votes", "turned", descending=[False, False, True, False]).unique(
        ["a", "b"], keep="first", maintain_order=True
    )
    return met.join(chosen.select("a", "b", "turned"), ["a", "b", "turned"], how="semi", maintain_order="left")
