"""Which addresses are one proxy's two sides, where no topology says so and nothing unique crosses.

A proxy's calls follow its clients': each request that leaves lies inside one that came, with the same request line, and
its response comes back before it is passed on. A few such pairs are chance. A tie is presumed when nearly all calls of
one side have such a partner, most of the other side's do, and they follow more closely than a common schedule would
make them: two monitors that start at the same minute are as far apart from one another as from the minute.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.proxy_exchanges import marks
from flowscope.nat.proxy_nearest import earlier
from flowscope.nat.proxy_sides import NUMBERS, could_be_proxied, from_elsewhere

#: Columns of :func:`presumed_ties`.
TIES = {
    "tie": pl.Int64, "front_dst_end": pl.UInt64, "back_src": pl.UInt32, "back_port": pl.UInt16, "reason": pl.String,
}  # fmt: skip
#: Clear pairs that a tie needs.
_CLEAR = 8
#: Of the calls that lie between the first and the last clear pair: how many must have a partner on either side.
BACKS_SERVED, FRONTS_SERVED = 0.9, 0.6
#: A proxy sends a request on, and a response back, within this time; one that is stalled needs longer now and then.
_PASSING_NS, _STALLED_NS = 20_000_000, 250_000_000
_SLACK_NS = 100_000
#: So many times more pairs must say who asked first than say the opposite: where a clock is coarse both are seen.
_ONE_WAY = 4
#: The waits between clear pairs must vary so many times more than the time it takes a request to be passed on.
_CLOSER = 5.0


def presumed_ties(sides: pl.DataFrame, fronts: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """Frontends, and the addresses and ports on whose connections their requests seem to go on.

    Args:
        sides: as :func:`flowscope.nat.proxy_sides.sides` returns them.
        fronts: exchanges of legs that may be a client's, as :func:`flowscope.nat.proxy_exchanges.exchanges` returns
            them, with ``slack_ns``.
        backs: the same of legs that may lead to a server.

    Returns:
        Columns as in :data:`TIES`: ``front_dst_end`` is the endpoint that clients call, ``back_src`` and ``back_port``
        whence and at which port servers are called.
    """
    nested = _nested(sides, fronts, backs)
    groups = ["front_dst_end", "back_src", "back_port"]
    prompt = pl.max_horizontal("ahead_ns", "behind_ns") <= _PASSING_NS
    found = _clear(nested.filter(prompt)).group_by(groups).agg(
        clear=pl.len(),
        first_ns=pl.col("asked_ns").min(),
        last_ns=pl.col("asked_ns").max(),
        close=_varies(pl.col("ahead_ns"), 0.1, 0.9),
        apart=_varies(pl.col("asked_ns").sort().diff().drop_nulls(), 0.1, 0.9),
    )  # fmt: skip
    found = found.join(_the_other_way(nested.filter(prompt)), groups, how="left").filter(
        pl.col("clear") >= _CLEAR,
        pl.col("apart") >= _CLOSER * pl.max_horizontal("close", pl.lit(_SLACK_NS / 2)),
        pl.col("opposed").fill_null(0) * _ONE_WAY <= pl.col("clear"),
    )
    if not found.height:
        return pl.DataFrame(schema=TIES)
    nested = nested.join(found.select(groups), groups, how="semi")
    calls = _calls(sides, backs, nested, "back").select(
        "exchange", "served", "mark", "asked_ns", back_src="src", back_port="dst_port"
    )
    asked = _calls(sides, fronts, nested, "front").select(
        "exchange", "served", "mark", "asked_ns", front_dst_end="dst_end"
    )
    # What one side never says at all is its own business: health checks, pages from a cache.
    common = nested.select(*groups, "mark").unique()
    served = _share(found, common, calls, ["back_src", "back_port"]).rename({"share": "backs_served"})
    served = _share(served, common, asked, ["front_dst_end"]).rename({"share": "fronts_served"})
    ties = served.filter(pl.col("backs_served") >= BACKS_SERVED, pl.col("fronts_served") >= FRONTS_SERVED)
    return (
        ties.sort(groups)
        .with_row_index("tie")
        .select(
            *groups,
            "tie",
            reason=pl.format(
                "{} requests of its clients were each followed by the same request of the proxy within {} ms, and {} % "
                "of the proxy's requests follow one",
                "clear",
                (pl.col("close") / 1e6).round(2),
                (pl.col("backs_served") * 100).floor().cast(pl.Int64),
            ),
        )
        .select(TIES.keys())
        .cast(TIES)  # type: ignore[arg-type]
    )


def with_presumed(pairs: pl.DataFrame, ties: pl.DataFrame) -> pl.DataFrame:
    """Adds ``presumed`` (true where a tie binds both legs) and its ``reason`` to pairs of sides."""
    known = ties.select(
        dst_end="front_dst_end", src_b="back_src", dst_port_b="back_port", presumed=pl.lit(value=True), reason="reason"
    )
    return pairs.join(known, ["dst_end", "src_b", "dst_port_b"], how="left", maintain_order="left").with_columns(
        pl.col("presumed").fill_null(value=False)
    )


def presumed_keys(sides: pl.DataFrame, ties: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What ties legs, as :func:`flowscope.nat.proxy_ties.tie_keys` tells it: ``leg`` and ``tie``, for both sides."""
    # Pools count from 0 up and hosts from -1 down: these are beyond both.
    number = pl.col("tie") + 2**40
    return (
        sides.join(ties, left_on="dst_end", right_on="front_dst_end").select("leg", tie=number),
        sides.join(ties, left_on=["src", "dst_port"], right_on=["back_src", "back_port"]).select("leg", tie=number),
    )


def _nested(sides: pl.DataFrame, fronts: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """Pairs of requests that may be one: the server's inside the client's, with the same line and status."""
    left, right = (one.join(mark, "exchange") for one, mark in zip((fronts, backs), marks(fronts, backs), strict=True))
    pairs = earlier(
        left.select(key="mark", at_ns="asked_ns", front="exchange"),
        right.select(key="mark", at_ns="asked_ns", back="exchange"),
    )
    columns = ("leg", "asked_ns", "answered_ns", "status", "slack_ns", "target", "cut", "method")
    pairs = pairs.join(fronts.select(*columns, front="exchange"), "front").join(
        backs.select(*columns, back="exchange"), "back", suffix="_b"
    )
    slack = _SLACK_NS + pl.col("slack_ns") + pl.col("slack_ns_b")
    pairs = pairs.with_columns(
        ahead_ns=pl.col("asked_ns_b") - pl.col("asked_ns"), behind_ns=pl.col("answered_ns") - pl.col("answered_ns_b")
    ).filter(
        pl.col("ahead_ns").is_between(-slack, _STALLED_NS),
        pl.col("behind_ns").is_between(-slack, _STALLED_NS),
        pl.col("ahead_ns") + pl.col("behind_ns") > 0,
        # Of responses that were cut the status may be missing.
        (pl.col("status") == pl.col("status_b")).fill_null(value=True),
        same_target(),
    )
    known = sides.select("leg", "src", "dst", "dst_port", "src_end", "dst_end", NUMBERS)
    pairs = pairs.join(known, "leg").join(known, left_on="leg_b", right_on="leg", suffix="_b")
    return pairs.filter(could_be_proxied(), from_elsewhere(), pl.col("src") != pl.col("dst_b")).select(
        "front", "back", "asked_ns", "ahead_ns", "behind_ns", mark=kind(),
        front_dst_end="dst_end", back_src="src_b", back_port="dst_port_b",
        front_src="src", front_port="dst_port", back_dst_end="dst_end_b",
    )  # fmt: skip


def _the_other_way(nested: pl.DataFrame) -> pl.DataFrame:
    """How many clear pairs (``opposed``) of the same two sides have the server's side as the one that asked first."""
    return (
        _clear(nested)
        .group_by(front_dst_end="back_dst_end", back_src="front_src", back_port="front_port")
        .agg(opposed=pl.len())
    )


def same_target() -> pl.Expr:
    """True where the targets of a pair are equal, or equal as far as the snap length left them."""
    one, other = pl.col("target"), pl.col("target_b")
    begins = (pl.col("cut_b") & one.str.starts_with(other)) | (pl.col("cut") & other.str.starts_with(one))
    return (one == other) | begins


def kind() -> pl.Expr:
    """The kind of a request, as far as the shortest snap length leaves it."""
    return pl.format("{} {}", "method", pl.col("target").str.head(6))


def _clear(nested: pl.DataFrame) -> pl.DataFrame:
    """Pairs of which neither side has another partner in the same group."""
    alone = (pl.len().over("front_dst_end", "back") == 1) & (pl.len().over("back_src", "back_port", "front") == 1)
    return nested.filter(alone)


def _calls(sides: pl.DataFrame, exchanges: pl.DataFrame, nested: pl.DataFrame, side: str) -> pl.DataFrame:
    """The exchanges of one side with ``mark``, their leg's ends, and ``served``: whether they stand in a pair."""
    known = sides.select("leg", "src", "dst_end", "dst_port")
    return (
        exchanges.filter(pl.col("answered_ns").is_not_null())
        .join(known, "leg")
        .with_columns(mark=kind(), served=pl.col("exchange").is_in(nested[side].unique().implode()))
    )


def _share(found: pl.DataFrame, common: pl.DataFrame, calls: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Adds ``share``: how many of one side's calls are served, of those that both sides know and that were then."""
    both = found.join(common, ["front_dst_end", "back_src", "back_port"], suffix="_c").join(calls, [*by, "mark"])
    both = both.filter(pl.col("asked_ns").is_between("first_ns", "last_ns"))
    groups = ["front_dst_end", "back_src", "back_port"]
    return found.join(both.group_by(groups).agg(share=pl.col("served").mean()), groups)


def _varies(column: pl.Expr, low: float, high: float) -> pl.Expr:
    return column.quantile(high).cast(pl.Float64) - column.quantile(low).cast(pl.Float64)
