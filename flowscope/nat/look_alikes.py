"""Connections that only look like the translated copy of another: test tools, loops and replays repeat their numbers.

Behind a translator the answer is seen first on the leg nearer to the server; a connection that merely follows another
has its answer later. Where nothing but ports differs, equal numbers alone prove no translator either.
"""

from __future__ import annotations

import polars as pl

_SYN_ACK = 1
#: No way through networks has more hops; a TTL that differs by more began at another value.
_MOST_HOPS = 64
#: Frames that passed one point may stand in its file a little out of order; where no lower TTL speaks for a translator,
#: not by more than a relay takes.
_DISORDER_NS = 1_000_000
_RELAY_NS = 20_000


def answered_too_late(pairs: pl.DataFrame, events: pl.DataFrame) -> pl.Series:
    """True for pairs of which ``a`` had its last SYN-ACK before the first of ``b``, at a point that both passed.

    Args:
        pairs: legs ``a`` (nearer to the client) and ``b``, and ``drop``, the TTL lost between them.
        events: with ``leg``, ``point`` and ``at_ns``.
    """
    asked = pl.concat([pairs["a"], pairs["b"]]).unique()
    times = (
        events.lazy()
        .filter(pl.col("kind") == _SYN_ACK, pl.col("leg").is_in(asked.implode()))
        .group_by("leg", "point")
        .agg(first_ns=pl.col("at_ns").min(), last_ns=pl.col("at_ns").max())
        .collect()
    )
    allowed = pl.when(pl.col("drop") > 0).then(_DISORDER_NS).otherwise(_RELAY_NS)
    late = (
        pairs.select("a", "b", "drop")
        .join(times.select("leg", "point", "last_ns"), left_on="a", right_on="leg")
        .join(times.select("leg", "point", "first_ns"), left_on=["b", "point"], right_on=["leg", "point"])
        .filter(pl.col("first_ns") - pl.col("last_ns") > allowed)
        .select("a", "b", late=pl.lit(value=True))
        .unique()
    )
    return pairs.join(late, ["a", "b"], how="left", maintain_order="left")["late"].fill_null(value=False)


def forwarded() -> pl.Expr:
    """True for pairs whose second copy has a lower TTL, by no more hops than there can be between two points.

    A host that tells the same out of two interfaces may begin with 255 on one and with 1 on the other.
    """
    return pl.col("drop").is_between(1, _MOST_HOPS)


def unproven_ports(answered: pl.Expr) -> pl.Expr:
    """True for pairs between which only ports differ and nothing else says that they are one connection.

    A test tool calls one server from port after port, and a scanner one port after another of one host, with one first
    sequence number and TTLs chosen by chance. They do not share a running TCP timestamp; an answer with equal numbers
    tells where the TTL is lower or the client kept, and it or the IP identification where no third connection has that
    number.

    Args:
        answered: whether both legs have the server's packets in common.
    """
    only_ports = pl.col("src_address_kept") & (pl.col("dst") == pl.col("dst_b"))
    one_packet = pl.col("same_id") & (pl.col("ip_id") != 0)
    clocked = one_packet & pl.col("same_tsval") & (pl.col("tsval") != 0)
    alone = pl.col("same_clock") & (pl.col("crowd") == 2) & (answered | one_packet)
    return only_ports & ~clocked & ~alone & ~(answered & (forwarded() | pl.col("src_kept")))


def mapped_back() -> pl.Expr:
    """True for pairs of which the first calls another address and the second comes back to the caller: a hairpin.

    A host that scans its own ports calls itself on both legs.
    """
    caller = pl.col("src")
    return (caller == pl.col("src_b")) & (caller == pl.col("dst_b")) & (caller != pl.col("dst"))
