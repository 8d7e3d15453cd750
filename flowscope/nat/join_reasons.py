"""What a join rests on, in a few words each, for people who want to check it."""

from __future__ import annotations

import polars as pl

TRACKED = "conntrack's table says so"
_PACKETS = {
    "syn": "same client ISN",
    "syn-ack": "same server ISN",
    "data": "same segments",
    "shift": "same segments behind one constant shift",
    "datagram": "same datagrams",
    "range": "same ranges of sequence numbers both ways",
}


def join_reasons() -> pl.Expr:
    """The reasons of a scored pair of legs as a list of texts, strongest first, with what speaks against it."""
    count = pl.col("shared")
    far = pl.col("gap_ns").abs() / 1_000
    both = (pl.col("by") == "datagram") & (pl.col("ways") == 2)
    texts = [
        _when("tracked", TRACKED),
        pl.format(
            "{}{}",
            pl.col("by").replace_strict(_PACKETS, default=pl.col("by"), return_dtype=pl.String),
            pl.when(count > 1).then(pl.format(" ({} of them)", count)).otherwise(pl.lit("")),
        ),
        _when(pl.col("same_answer") & (pl.col("by") != "syn-ack"), "same server ISN"),
        _when(both, "and their answers"),
        _when("src_kept", "client address and port kept"),
        _when(~pl.col("src_kept") & pl.col("src_address_kept"), "client address kept"),
        _when(~pl.col("src_kept") & ~pl.col("src_address_kept") & pl.col("src_port_kept"), "client port kept"),
        _when("dst_kept", "destination kept"),
        _when(pl.col("same_id") & (pl.col("ip_id") != 0), "same IP identification"),
        _when(pl.col("same_tsval") & (pl.col("tsval") != 0), "same TCP timestamp"),
        _when("expected", "the topology expects it"),
        pl.when(pl.col("drop") > 0).then(pl.format("TTL lower by {}", "drop")).otherwise(pl.lit("TTL not lower")),
        pl.when(pl.col("by") == "range")
        .then(None)
        .when("same_clock")
        .then(pl.format("{} us apart", far.round(1)))
        .otherwise(pl.lit("clocks not compared")),
        _when(~pl.col("same_id"), "but another IP identification"),
        _when(~pl.col("same_window").fill_null(value=True), "but another window"),
        pl.when(pl.col("crowd") > 2).then(pl.format("but {} legs have such a packet", "crowd")),
    ]
    return pl.concat_list(texts).list.drop_nulls()


def _when(condition: pl.Expr | str, text: str) -> pl.Expr:
    true = pl.col(condition) if isinstance(condition, str) else condition
    return pl.when(true.fill_null(value=False)).then(pl.lit(text))
