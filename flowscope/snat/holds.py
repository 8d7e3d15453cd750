"""How long a translator holds a port after a close, read from ports that it gave again."""

from __future__ import annotations

import polars as pl

_TCP = 6


def longest_holds(users: pl.DataFrame) -> pl.DataFrame:
    """The shortest time after which an address gave a port again towards the same destination: it held none longer.

    Args:
        users: connections with ``pool``, ``snat``, ``protocol``, ``snat_port``, ``refused``, ``from_ns``, ``last_ns``
            and ``ended``.

    Returns:
        ``snat``, and ``seen_fin_s`` and ``seen_rst_s``, null where no port of a connection that ended so came back.
    """
    given = users.filter(~pl.col("refused"), pl.col("protocol") == _TCP, pl.col("snat_port").is_not_null())
    given = given.sort("pool", "snat_port", "from_ns")
    same = (pl.col("pool") == pl.col("pool").shift(-1)) & (pl.col("snat_port") == pl.col("snat_port").shift(-1))
    pause = given.with_columns(pause=pl.when(same).then(pl.col("from_ns").shift(-1) - pl.col("last_ns")) / 1e9)
    back = pause.filter(pl.col("pause") >= 0)
    return back.group_by("snat").agg(
        pl.col("pause").filter(pl.col("ended") == ended).min().alias(f"seen_{ended}_s") for ended in ("fin", "rst")
    )
