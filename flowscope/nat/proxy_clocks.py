"""Clocks on a proxy's two sides: no handshake ties them, but what crosses beyond doubt does.

A request leaves the proxy after it came, its response is passed on after it came back: as with the two directions of a
handshake (:mod:`flowscope.nat.clocks`) the difference of the clocks lies between the two.
"""

from __future__ import annotations

from collections import deque

import polars as pl

from flowscope.nat.proxy_exchanges import ids

#: Pairs that decide, at most, and what they must agree on before a large difference is believed.
_BEST, _AGREEING, _AGREED_NS = 20, 3, 100_000_000
#: Hosts that keep time differ by less; a capture repeated after longer than the second is a repetition.
_USUAL_NS, _MOST_NS = 5_000_000_000, 900_000_000_000
#: Exchanges of one connection that a mark is followed through.
_MARKED = 16
#: Requests that are alike and still compared each with each; width of a step, and steps that make a rhythm.
_ALIKE, _BIN_NS, _STEPS = 20, 50_000_000, 5
_DIFFERENCES = {
    "ahead_ns": pl.col("asked_ns_b") - pl.col("asked_ns"),
    "behind_ns": pl.col("answered_ns") - pl.col("answered_ns_b"),
}


def crossings(named: pl.DataFrame, fronts: pl.DataFrame, backs: pl.DataFrame, sent: pl.DataFrame) -> pl.DataFrame:
    """What crossed between islands: ``island`` (the client's side), ``island_b``, ``ahead_ns``, ``behind_ns``.

    Args:
        named: as :func:`flowscope.nat.proxy_header.header_pairs` returns them.
        fronts: exchanges with ``island``.
        backs: the same of the server's side.
        sent: ``exchange`` and ``key`` of fronts and backs (``front`` true or false) that may belong together.
    """
    headed = named.filter("exact", pl.len().over("leg_b") == 1, pl.len().over("leg") == 1).select(
        "island",
        "island_b",
        ahead_ns=pl.col("start_ns_b") - pl.col("start_ns"),
        behind_ns=pl.col("rev_data_end_ns") - pl.col("rev_data_end_ns_b"),
    )
    marked = id_crossings(fronts).select(headed.columns)
    return pl.concat([headed, marked, _in_step(fronts, backs, sent)])


def id_crossings(asked: pl.DataFrame) -> pl.DataFrame:
    """Exchanges of two islands with a value in common that few have: the first with the first, and so on.

    A request's id stands in one exchange on each side; a connection's mark in as many on each.

    Returns:
        ``leg``, ``leg_b``, ``island``, ``island_b``, ``asked_ns``, ``answered_ns``, ``ahead_ns``, ``behind_ns``.
    """
    named = ids(asked).join(asked.select("exchange", "island", "asked_ns", "answered_ns"), "exchange")
    side, way = ["value", "island"], pl.col("asked_ns")
    timed = named.with_columns(turn=way.rank("ordinal").over(side), turns=pl.len().over(side))
    timed = timed.filter(pl.col("turns") <= _MARKED, pl.col("island").n_unique().over("value") == 2)
    timed = timed.select("value", "turn", "turns", "leg", "island", "asked_ns", "answered_ns")
    pairs = timed.join(timed, ["value", "turn", "turns"], suffix="_b").filter(pl.col("island") != pl.col("island_b"))
    # Which is the client's side? The one that takes longer; clocks are not to be asked yet.
    found = pairs.select("leg", "leg_b", "island", "island_b", "asked_ns", "answered_ns", **_DIFFERENCES)
    return found.filter(pl.col("ahead_ns") + pl.col("behind_ns") >= 0).unique(maintain_order=True)


def _in_step(fronts: pl.DataFrame, backs: pl.DataFrame, sent: pl.DataFrame) -> pl.DataFrame:
    """Requests that repeat on both sides in the same rhythm: the difference that most pairs have."""
    few = sent.filter(pl.len().over("key", "front") <= _ALIKE)
    columns = ("exchange", "island", "asked_ns", "answered_ns")
    left = few.filter("front").join(fronts.select(columns), "exchange")
    right = few.filter(~pl.col("front")).join(backs.select(columns), "exchange")
    # What the snap length cut has two keys.
    pairs = left.join(right, "key", suffix="_b").unique(["exchange", "exchange_b"], maintain_order=True)
    pairs = pairs.filter(pl.col("island") != pl.col("island_b"))
    pairs = pairs.select("island", "island_b", **_DIFFERENCES).filter(pl.col("ahead_ns").abs() <= _MOST_NS)
    islands = ["island", "island_b"]
    step = pairs.with_columns(bin=pl.col("ahead_ns") // _BIN_NS)
    # Two bins together: the difference may lie on the edge of one.
    wide = pl.concat([step, step.with_columns(pl.col("bin") - 1)]).group_by(*islands, "bin").len("pairs")
    top = wide.sort("pairs", "bin", descending=[True, False]).unique(islands, keep="first", maintain_order=True)
    rest = wide.join(top, islands, suffix="_top").filter((pl.col("bin") - pl.col("bin_top")).abs() > 1)
    rival = rest.group_by(islands).agg(rival=pl.col("pairs").max())
    clear = top.join(rival, islands, how="left").filter(
        pl.col("pairs") >= _STEPS, pl.col("pairs") >= 2 * pl.col("rival").fill_null(0)
    )
    agreed = step.join(clear, islands, suffix="_top").filter((pl.col("bin") - pl.col("bin_top")).is_in([0, 1]))
    return agreed.select(pairs.columns)


def aligned(crossings: pl.DataFrame, islands: pl.Series) -> pl.DataFrame:
    """What to add to the times of each island: ``island``, ``shift_ns`` and ``doubt_ns``.

    Args:
        crossings: ``island`` and ``island_b`` of a client's and a server's side, ``ahead_ns`` (the server's opening
            minus the client's) and ``behind_ns`` (the client's end minus the server's), both by their own clocks.
        islands: all islands, the one to be kept first.
    """
    edges: dict[int, dict[int, tuple[int, int]]] = {}
    for a, b, offset, doubt in _measured(crossings.filter(pl.col("island") != pl.col("island_b"))).iter_rows():
        if doubt < edges.get(a, {}).get(b, (0, doubt + 1))[1]:
            edges.setdefault(a, {})[b] = (-offset, doubt)
            edges.setdefault(b, {})[a] = (offset, doubt)
    placed: dict[int, tuple[int, int]] = {}
    for start in islands.to_list():
        if start in placed:
            continue
        placed[start] = (0, 0)
        queue = deque([start])
        while queue:
            here = queue.popleft()
            for there, (step, doubt) in sorted(edges.get(here, {}).items(), key=lambda edge: edge[1][1]):
                if there not in placed:
                    placed[there] = (placed[here][0] + step, placed[here][1] + doubt)
                    queue.append(there)
    rows = [(island, *values) for island, values in placed.items()]
    return pl.DataFrame(rows, {"island": pl.Int64, "shift_ns": pl.Int64, "doubt_ns": pl.Int64}, orient="row")


def _measured(crossings: pl.DataFrame) -> pl.DataFrame:
    """``island``, ``island_b``, how far the second's clock is ahead, and the doubt about it."""
    known = crossings.drop_nulls(["ahead_ns", "behind_ns"]).with_columns(
        offset=(pl.col("ahead_ns") - pl.col("behind_ns")) // 2, inside=pl.col("ahead_ns") + pl.col("behind_ns")
    )
    # Less than no time inside the proxy: no pair of one connection.
    best = (
        known.filter(pl.col("inside") >= 0)
        .sort("inside")
        .group_by("island", "island_b", maintain_order=True)
        .agg(
            pairs=pl.len(),
            offset=pl.col("offset").head(_BEST).median().cast(pl.Int64),
            spread=(pl.col("offset") - pl.col("offset").head(_BEST).median()).head(_BEST).abs().median().cast(pl.Int64),
            inside=pl.col("inside").first(),
        )
    )
    agreed = (pl.col("pairs") >= _AGREEING) & (pl.col("spread") <= _AGREED_NS) & (pl.col("offset").abs() <= _MOST_NS)
    doubt = pl.col("inside") // 2 + pl.col("spread") + 1
    within = pl.col("offset").abs() <= doubt
    return best.filter((pl.col("offset").abs() <= _USUAL_NS) | agreed).select(
        # A difference within its own doubt is no difference.
        "island", "island_b", pl.when(within).then(0).otherwise("offset").alias("offset"),
        pl.when(within).then(0).otherwise(doubt).alias("doubt"),
    )  # fmt: skip


def on_one_clock(table: pl.DataFrame, shifts: pl.DataFrame, times: tuple[str, ...]) -> pl.DataFrame:
    """Shifts the ``times`` of a table with ``island`` and ``slack_ns`` by what :func:`aligned` found."""
    shifted = table.join(shifts, "island", how="left", maintain_order="left")
    return shifted.with_columns(
        *(pl.col(name) + pl.col("shift_ns") for name in times), slack_ns=pl.col("slack_ns") + pl.col("doubt_ns")
    ).drop("shift_ns", "doubt_ns")
