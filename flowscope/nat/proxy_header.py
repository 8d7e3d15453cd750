"""Server legs that begin with a PROXY header: it names the client's leg itself."""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import endpoint
from flowscope.nat.proxy_sides import could_be_proxied

#: Bits of a header that names both ends of a leg, and of one whose destination was rewritten on the way.
_BOTH_ENDS, _CLIENT_ONLY = 30.0, 14.0
#: A proxy may take so long to reach a server after its client has gone.
_GONE_NS = 5_000_000_000
#: More headers than any row of proxies puts on top of one another.
_HEADERS = 4
#: Points on one clock disagree by less.
_SLACK_NS = 1_000_000
_ENDPOINT = r"^(?:\d+\.\d+\.\d+\.\d+|\[.+\]):\d+$"


def named_clients(messages: pl.DataFrame, flows: pl.DataFrame, addresses: pl.DataFrame) -> pl.DataFrame:
    """What the PROXY headers say: ``leg`` they stand on, ``place`` (0: first on the wire), ``src_end``, ``dst_end``.

    LOCAL and UNKNOWN headers are a proxy speaking for itself; they name nobody.
    """
    headers = messages.with_row_index("row").filter(
        pl.col("kind").is_in(["proxy-v1", "proxy-v2"]),
        # A cut header may name addresses without ports.
        *(pl.col(side).str.contains(_ENDPOINT) for side in ("src", "dst")),
    )
    headers = headers.select(
        "row",
        "flow",
        leg=flows["leg"].gather(headers["flow"]),
        place=pl.col("row").cum_count().over("flow", order_by="row").cast(pl.Int64) - 1,
        **{f"{side}_text": _address(side) for side in ("src", "dst")},
        **{
            f"{side}_port": pl.col(side).str.extract(r":(\d+)$").cast(pl.UInt16, strict=False)
            for side in ("src", "dst")
        },
    )
    number = addresses.select("text", "address")
    for side in ("src", "dst"):
        headers = headers.join(
            number.rename({"text": f"{side}_text", "address": side}), f"{side}_text", how="left", maintain_order="left"
        )
    named = headers.select("leg", "place", src_end=endpoint("src"), dst_end=endpoint("dst"))
    return named.filter(pl.col("src_end").is_not_null(), pl.col("place") < _HEADERS).unique(maintain_order=True)


def header_pairs(named: pl.DataFrame, sides: pl.DataFrame) -> pl.DataFrame:
    """Legs and the client legs that their headers name, at any time: columns of both sides, the server's with ``_b``.

    Also ``place`` and ``exact`` (both ends agree).
    """
    client = sides.drop_nulls("src_end")
    pairs = named.rename({"leg": "leg_b", "dst_end": "named_dst"}).join(client, "src_end")
    pairs = pairs.join(sides.select(pl.all().name.suffix("_b")), "leg_b")
    exact = (pl.col("dst_end") == pl.col("named_dst")).fill_null(value=False)
    return pairs.filter(could_be_proxied()).with_columns(exact=exact).drop("named_dst")


def header_joins(pairs: pl.DataFrame) -> pl.DataFrame:
    """Of the pairs of :func:`header_pairs` those that are: ``leg``, ``before``, ``bits``, ``margin``, ``ambiguous``.

    Every proxy puts its header in front of all it passes on (PROXY protocol, section 2), an earlier proxy's header
    included. So the first header on the wire names the connection nearest to this one, and the last the one nearest
    to the client; the nearest that was captured is the predecessor.
    """
    slack = _SLACK_NS + pl.col("slack_ns") + pl.col("slack_ns_b")
    open_then = (pl.col("start_ns") <= pl.col("start_ns_b") + slack) & (
        pl.col("end_ns") + _GONE_NS + slack >= pl.col("start_ns_b")
    )
    # Of the connections that had this tuple one after the other, the youngest.
    ranked = pairs.filter(open_then).sort(
        "leg_b", "exact", "place", "start_ns", "leg", descending=[False, True, False, True, False]
    )
    others = ~pl.col("exact") & (pl.col("dst_end") != pl.col("dst_end").first())
    still_open = pl.col("end_ns") >= pl.col("start_ns_b")
    return (
        ranked.group_by("leg_b", maintain_order=True)
        .agg(
            pl.col("leg", "exact").first(),
            rivals=(others & still_open).sum(),
        )
        .with_columns(
            bits=pl.when("exact").then(_BOTH_ENDS).otherwise(_CLIENT_ONLY),
            ambiguous=~pl.col("exact") & (pl.col("rivals") > 0),
        )
        .select(
            leg="leg_b",
            before=pl.when(~pl.col("ambiguous")).then("leg"),
            bits="bits",
            margin=pl.when("ambiguous").then(0.0).otherwise("bits"),
            ambiguous="ambiguous",
        )
    )


def _address(side: str) -> pl.Expr:
    text = pl.col(side).str.extract(r"^\[?([0-9A-Fa-f:.]+?)\]?:\d+$")
    # A dual-stack proxy writes IPv4 addresses as mapped ones.
    return text.str.replace(r"^::ffff:(\d+\.)", "$1")
