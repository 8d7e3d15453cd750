"""What a join across a proxy rests on, in a few words each, for people who want to check it."""

from __future__ import annotations

import polars as pl

HEADER = "the PROXY header names the client"
CUT_HEADER = "what is left of the PROXY header names the client, and the lengths go with it"
HELLO = "same TLS ClientHello"
STREAM = "same first bytes both ways"
TIME = "opened one for the other, by order and time alone"
NAMED_END = "a header names the client's address and port"
NAMED_ADDRESS = "a header names the client's address, and one connection of it was open"


def request_reasons() -> pl.Expr:
    """The reasons of a scored pair of requests as a list of texts, strongest first, with what speaks against it."""
    ids, ahead = pl.col("id_bits"), (pl.col("asked_ns_b") - pl.col("asked_ns")) / 1_000
    same = (pl.col("target") == pl.col("target_b")) & ~(pl.col("cut") | pl.col("cut_b"))
    texts = [
        _when(ids >= 16, "a value crossed that no other request has"),
        _when((ids > 0) & (ids < 16), "a value crossed that few requests have"),
        _when(pl.col("client_bits").is_not_null(), "a header names the client's address"),
        _when(pl.col("expected"), "the topology expects it"),
        pl.when(pl.col("presumed") & ~pl.col("expected")).then("reason"),
        _when(pl.col("one_host"), "the server was called from the address that the client called"),
        pl.when(same)
        .then(pl.lit("same request line"))
        .otherwise(pl.lit("same request line as far as it was captured")),
        _when(pl.col("status") == pl.col("status_b"), "same status"),
        _when(pl.col("length_bits") > 0, "as much longer as the proxy's requests usually are"),
        pl.format("passed on after {} us", ahead.round(1)),
        _when(pl.col("contradicted"), "but the topology says otherwise"),
        _when(pl.col("length_bits") < 0, "but longer by another number of bytes than usual"),
    ]
    return pl.concat_list(texts).list.drop_nulls()


def _when(condition: pl.Expr, text: str) -> pl.Expr:
    return pl.when(condition.fill_null(value=False)).then(pl.lit(text))
