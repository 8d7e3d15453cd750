"""Which of two requests that are one came first, where the clocks do not tell: its client asked the proxy before.

One request that fits another both ways round is told by all that go between the same two sides: a client waits longer
than its proxy does, headers name clients, and the topology knows who is in front.
"""

from __future__ import annotations

import polars as pl

#: Whom clients call, and whence and at which port servers are called, of a pair and of the same pair turned round.
_WAY = ["dst_end", "src_b", "dst_port_b"]
_BACK = ["dst_end_b", "src", "dst_port"]
#: What a header or the topology says counts more than one time that was measured.
_SAID = 4


def one_way(pairs: pl.DataFrame) -> pl.DataFrame:
    """Leaves out of pairs that stand there both ways round those against which most others speak.

    Args:
        pairs: exchanges with ``leg`` and ``turn``, their times (``asked_ns``, ``answered_ns``), and the ends of their
            legs, the server's with the suffix ``_b``; ``client_bits`` and ``expected``.
    """
    turned = pairs.select(leg="leg_b", turn="turn_b", leg_b="leg", turn_b="turn")
    both = pairs.join(turned, turned.columns, how="semi")
    if not both.height:
        return pairs
    longer = (pl.col("answered_ns") - pl.col("asked_ns")) - (pl.col("answered_ns_b") - pl.col("asked_ns_b"))
    said = pl.col("client_bits").is_not_null().cast(pl.Int64) + pl.col("expected").fill_null(value=False).cast(pl.Int64)
    votes = both.group_by(_WAY).agg(votes=(longer.sign().fill_null(0) + _SAID * said).sum())
    against = votes.rename(dict(zip(_WAY, _BACK, strict=True)) | {"votes": "against"})
    wrong = (
        both.join(votes, _WAY, how="left")
        .join(against, _BACK, how="left")
        .filter(pl.col("votes") < pl.col("against").fill_null(0))
    )
    return pairs.join(wrong.select("front", "back"), ["front", "back"], how="anti", maintain_order="left")
