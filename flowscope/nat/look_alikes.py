"""Connections that only look like the translated copy of another: test tools, loops and replays repeat their numbers.

Behind a translator the answer is seen first on the leg nearer to the server; a connection that merely follows another
has its answer later. Where nothing but the client's port differs, equal numbers alone prove no translator either.
"""

from __future__ import annotations

import polars as pl

_SYN_ACK = 1
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


def unproven_port(answered: pl.Expr) -> pl.Expr:
    """True for pairs between which only the client's port differs and nothing else says that they are one connection.

    A test tool calls one server from port after port with one first sequence number and one IP identification. What it
    does not share is a running TCP timestamp; an answer with equal numbers tells where the TTL is lower, or where no
    third connection has that number.

    Args:
        answered: whether both legs have the server's packets in common.
    """
    only_port = pl.col("src_address_kept") & ~pl.col("src_port_kept") & pl.col("dst_kept")
    clocked = pl.col("same_tsval") & (pl.col("tsval") != 0) & pl.col("same_id") & (pl.col("ip_id") != 0)
    alone = pl.col("same_clock") & (pl.col("crowd") == 2)
    return only_port & ~clocked & ~(answered & ((pl.col("drop") > 0) | alone))
