"""Who spoke after whom in a probe whose words are hidden in TLS.

A hello each way, a client's turn, and a server's turn that is more than an alert: then the handshake was accepted and a
request answered, or as good as. Of the status nothing can be said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from flowscope.tables import EVENT_KINDS

if TYPE_CHECKING:
    from flowscope.window import Window

#: An alert in TLS takes up to 69 bytes (RFC 5246, 6.2.3.2: padded, with the longest MAC); a response takes more.
_LONGEST_ALERT_BYTES = 69
_HELLOS = 2


def turns(window: Window, flows: pl.Series) -> pl.DataFrame:
    """Per flow (``main``): ``conversed`` and ``unheard``.

    ``conversed``: after both hellos the prober spoke again, and the member answered with more than an alert.
    ``unheard``: after both hellos the prober spoke again, and the member did not.
    """
    data = window.events.filter(pl.col("kind") == EVENT_KINDS.index("data"), pl.col("flow").is_in(flows.implode()))
    data = data.sort("at_ns", "frame").select("flow", "half", "length")
    turn = (pl.col("half") != pl.col("half").shift(1)).fill_null(value=True).cum_sum().over("flow")
    spoken = data.with_columns(turn=turn).filter(pl.col("turn") > _HELLOS)
    answer = pl.col("length").filter(pl.col("half") == 1)
    return spoken.group_by(main="flow").agg(
        conversed=answer.sum() > _LONGEST_ALERT_BYTES,
        unheard=answer.len() == 0,
    )
