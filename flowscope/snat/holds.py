"""How long a translator holds a port: until its connection ends, and then as long as is known or ports show."""

from __future__ import annotations

import polars as pl

_TCP = 6
#: A flow with neither FIN nor RST is held this long after its last packet: no documented translator forgets TCP sooner
#: by default (Azure's 240 s; AWS, Google and Linux wait longer).
_IDLE_S = 240
#: Nor UDP before this (Linux, before an answer); RFC 4787 asks for two minutes.
_UDP_IDLE_S = 30


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


def held(users: pl.DataFrame, flows: pl.DataFrame, events: pl.DataFrame, kinds: tuple[int, int]) -> pl.DataFrame:
    """Adds ``from_ns``, ``last_ns`` (last packet, FIN or RST that counts) and ``ended``: fin, rst or open.

    Args:
        users: as :func:`port_users` returns them.
        flows: with ``leg`` and ``at_ns``.
        events: with ``leg`` and ``at_ns``.
        kinds: numbers of the kinds of events: RST, FIN.
    """
    wanted = users["leg"].unique()
    last_ns = pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns")
    spans = (
        flows.lazy()
        .select("leg", "at_ns", last_ns=last_ns)
        .filter(pl.col("leg").is_in(wanted.implode()))
        .group_by("leg")
        .agg(from_ns=pl.col("at_ns").min(), last_ns=pl.col("last_ns").max())
        .collect()
    )
    ends = (
        events.lazy()
        .select("leg", "kind", "at_ns")
        .filter(pl.col("kind").is_in(kinds))
        .filter(pl.col("leg").is_in(wanted.implode()))
        .group_by("leg")
        .agg(
            r=pl.col("at_ns").filter(pl.col("kind") == kinds[0]).max(),
            f=pl.col("at_ns").filter(pl.col("kind") == kinds[1]).max(),
        )
        .collect()
    )
    return (
        users.join(spans, "leg", how="left", maintain_order="left")
        .join(ends, "leg", how="left", maintain_order="left")
        .with_columns(
            ended=pl.when(pl.col("r").is_not_null()).then(pl.lit("rst"))
            .when(pl.col("f").is_not_null()).then(pl.lit("fin"))
            .otherwise(pl.lit("open")),
            last_ns=pl.coalesce("r", "f", "last_ns"),
        )
        .drop("r", "f")
    )  # fmt: skip


def release_ns(fin_s: pl.Expr, rst_s: pl.Expr, end_ns: int) -> pl.Expr:
    """When the translator gives the port free again, at the latest when the capture ends (``end_ns``).

    Args:
        fin_s: seconds a port is held after a FIN.
        rst_s: the same after a RST.
        end_ns: the last moment that was captured.
    """
    # A SYN that nobody answered may hold a port for half a minute (Azure NAT gateway), or for no time at all.
    tcp_s = pl.when(pl.col("outcome") == "unanswered").then(0).otherwise(_IDLE_S)
    idle_s = pl.when(pl.col("protocol") == _TCP).then(tcp_s).otherwise(_UDP_IDLE_S)
    after_s = pl.when(pl.col("ended") == "rst").then(rst_s).when(pl.col("ended") == "fin").then(fin_s).otherwise(idle_s)
    return pl.min_horizontal(pl.col("last_ns") + (after_s * 1e9).cast(pl.Int64), pl.lit(end_ns, pl.Int64))
