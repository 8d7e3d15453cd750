"""PROXY headers of which the snap length left the client's address: the rest is known from the leg they would name.

A header of version 1 is a line of words, so that its length is known for every leg it may stand for. The server's side
has as many bytes more than the client's, and as many back.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import endpoint
from flowscope.nat.proxy_nearest import earlier
from flowscope.nat.proxy_sides import could_be_proxied

#: Bits of the client's address, of its port, of the lengths of both directions, and what a join needs.
_ADDRESS, _PORT, _LENGTHS, _ENOUGH = 8.0, 14.0, 6.0, 12.0
_MARGIN = 3.0
#: A proxy that sends the header opens its connection at once.
_PROMPT_NS, _SLACK_NS = 2_000_000_000, 100_000


def cut_headers(messages: pl.DataFrame, flows: pl.DataFrame, addresses: pl.DataFrame) -> pl.DataFrame:
    """Headers that were cut and name a client: ``leg``, ``version``, ``client`` (address number), ``client_end``
    (:func:`flowscope.nat.numbers.endpoint`, null where the port was cut) and ``wire_bytes``, the most it can be long.
    """
    cut = messages.filter(
        pl.col("kind").is_in(["proxy-v1", "proxy-v2"]), ~pl.col("complete"), pl.col("src").is_not_null()
    )
    four, six = r"^(\d+\.\d+\.\d+\.\d+)(?::(\d+))?$", r"^\[([0-9a-f:.]+)\](?::(\d+))?$"
    text = pl.coalesce(pl.col("src").str.extract(four, 1), pl.col("src").str.extract(six, 1), "src")
    port = pl.coalesce(pl.col("src").str.extract(four, 2), pl.col("src").str.extract(six, 2))
    named = cut.select(
        "kind",
        "wire_bytes",
        leg=flows["leg"].gather(cut["flow"]),
        text=text.str.replace(r"^::ffff:(\d+\.)", "$1"),
        src_port=port.cast(pl.UInt16, strict=False),
    )
    named = named.join(addresses.select("text", src="address"), "text").with_columns(client="src")
    # The first on the wire is the nearest proxy's; of several points the one that kept most of it.
    return named.select(
        "leg", "client", "wire_bytes", version="kind", client_end=endpoint("src")
    ).sort("leg", "client_end", nulls_last=True).unique("leg", keep="first", maintain_order=True)  # fmt: skip


def said_by_headers(headers: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """The clients that cut headers name for the requests behind them, see
    :func:`flowscope.nat.proxy_exchanges.clients`."""
    return backs.join(headers, "leg").select("exchange", "client", pl.lit(0, pl.Int64).alias("place"), "client_end")


def cut_header_joins(
    headers: pl.DataFrame, fronts: pl.DataFrame, backs: pl.DataFrame, addresses: pl.DataFrame
) -> pl.DataFrame:
    """Server legs whose cut header fits one client leg alone: ``leg``, ``before``, ``bits``, ``margin``, ``ambiguous``.

    Args:
        headers: as :func:`cut_headers` returns them.
        fronts: sides of legs that may be a client's.
        backs: sides of legs that may lead to a server.
        addresses: the core's address table.
    """
    named = headers.join(backs.select("leg", "start_ns"), "leg")
    pairs = earlier(
        fronts.select(key="src", at_ns="start_ns", front="leg"),
        named.select(key="client", at_ns="start_ns", back="leg"),
    )
    pairs = pairs.join(fronts, left_on="front", right_on="leg", coalesce=False).join(
        backs.select(pl.all().name.suffix("_b")), left_on="back", right_on="leg_b", coalesce=False
    )
    pairs = _with_length(
        pairs.join(headers.select("version", "wire_bytes", "client_end", back="leg"), "back"), addresses
    )
    slack = _SLACK_NS + pl.col("slack_ns") + pl.col("slack_ns_b")
    more = pl.col("fwd_covered_bytes_b").cast(pl.Int64) - pl.col("fwd_covered_bytes").cast(pl.Int64)
    whole = pl.sum_horizontal("^(fwd|rev)_missing_bytes(_b)?$") == 0
    grown = (more == pl.col("line_bytes")) & (pl.col("rev_covered_bytes") == pl.col("rev_covered_bytes_b"))
    gap = pl.col("start_ns_b") - pl.col("start_ns")
    fits = pairs.filter(
        could_be_proxied(),
        gap.is_between(-slack, _PROMPT_NS),
        (pl.col("rev_data_ns_b") <= pl.col("rev_data_ns") + slack).fill_null(value=True),
        (pl.col("client_end") == pl.col("src_end")).fill_null(value=True),
        (pl.col("line_bytes") <= pl.col("wire_bytes")).fill_null(value=True),
        # Where every byte was seen, nothing else adds any.
        (~whole | grown).fill_null(value=True),
    )
    bits = (
        _ADDRESS
        + pl.when(pl.col("client_end").is_not_null()).then(_PORT).otherwise(0.0)
        + pl.when(whole & grown).then(_LENGTHS).otherwise(0.0)
        + pl.when(pl.col("line_bytes") == pl.col("wire_bytes")).then(4.0).otherwise(0.0)
        - (1 + gap.clip(0).cast(pl.Float64) / 1e6).log(2)
    )
    return _best(fits.select("front", "back", bits=bits).filter(pl.col("bits") >= _ENOUGH))


def _with_length(pairs: pl.DataFrame, addresses: pl.DataFrame) -> pl.DataFrame:
    """Adds ``line_bytes``: how long a header of version 1 that names the client's leg is (section 2.1 of the protocol:
    "PROXY TCP4 " or "TCP6", both addresses, both ports, blanks between, CRLF); null for version 2."""
    chars = addresses.select("address", chars=pl.col("text").str.len_bytes().cast(pl.Int64))
    pairs = pairs.join(chars.rename({"address": "src", "chars": "src_chars"}), "src", how="left")
    pairs = pairs.join(chars.rename({"address": "dst", "chars": "dst_chars"}), "dst", how="left")
    digits = ((pl.col(name) % 65536).cast(pl.String).str.len_bytes().cast(pl.Int64) for name in ("src_end", "dst_end"))
    line = 11 + pl.col("src_chars") + 1 + pl.col("dst_chars") + 1 + pl.sum_horizontal(*digits) + 1 + 2
    return pairs.with_columns(line_bytes=pl.when(pl.col("version") == "proxy-v1").then(line))


def _best(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs that are the best of both their legs by far."""

    def ahead(side: str) -> pl.Expr:
        # Of several the second best is behind by the margin; one alone is ahead by all it has.
        second = pl.col("bits").sort(descending=True).slice(1, 1).first().fill_null(0.0)
        return (pl.col("bits") - second.over(side)).alias(side)

    clear = pairs.with_columns(margin=pl.min_horizontal(ahead("back"), ahead("front")))
    clear = clear.filter(pl.col("margin") >= _MARGIN)
    return clear.sort("back").select(
        leg="back", before="front", bits="bits", margin="margin", ambiguous=pl.lit(value=False)
    )
