"""HTTP requests with their responses, as a proxy's two sides are compared by: one row per exchange of a leg."""

from __future__ import annotations

from typing import Literal

import polars as pl

from flowscope.nat.clocks import Clocks
from flowscope.nat.numbers import endpoint

#: Headers that say something about the connection, the software or the service: they tell no request from another.
_NO_IDS = (
    "connection", "forwarded", "host", "location", "server", "user-agent", "via", "www-authenticate",
    "x-azure-clientip", "x-azure-fdid", "x-azure-socketip", "x-fd-healthprobe",
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip",
)  # fmt: skip
#: Headers that name the service in the form of an address.
_NO_CLIENTS = ("host", "x-forwarded-host", "via", "server", "location", "user-agent")
#: Shorter values are counters and flags.
_ID = r"[0-9A-Za-z._:+/=-]{6,}"
#: Some ids are short all the same: letters and digits, and nothing else in that header.
_SHORT_ID = r"^(?:[A-Za-z][0-9A-Za-z._:+=-]*[0-9]|[0-9][0-9A-Za-z._:+=-]*[A-Za-z])$"
_SHORT_BYTES = (3, 5)
#: A traceparent (W3C Trace Context, section 3.2) changes at every hop, but not the trace id in its middle.
_TRACE = r"\b[0-9a-f]{32}\b"
_ADDRESS = r"^\[?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\]?(?::\d+)?$"


def exchanges(
    messages: pl.DataFrame, flows: pl.DataFrame, clocks: Clocks, nearest: Literal["first", "last"]
) -> pl.DataFrame:
    """Requests, each with its response, by the flow that tells most of its leg.

    Args:
        messages: the core's message table.
        flows: with ``leg`` and ``at_ns``; row number = flow number.
        clocks: of the points.
        nearest: of several points that saw as much, which to believe: the proxy is after the last point of the
            client's side and before the first of the server's.

    Returns:
        Columns ``exchange`` (row number in ``messages``), ``leg``, ``turn`` (which of its requests), ``point``,
        ``asked_ns``, ``answered_ns`` (null without response), ``until_ns`` (when it was over at the latest),
        ``method``, ``target`` (origin form), ``cut`` (the snap length may have cut the target), ``tail`` (last segment
        and query), ``host``, ``agent``, ``status``, ``body_bytes``, ``asked_bytes`` and ``answer_bytes`` (lengths on
        the wire), ``own_headers`` of the request, and ``headers`` of request and response.
    """
    numbered = messages.with_row_index("exchange").filter(pl.col("kind").is_in(["http-request", "http-response"]))
    of_flow = numbered["flow"]
    numbered = numbered.with_columns(leg=flows["leg"].gather(of_flow), point=flows["point"].gather(of_flow))
    numbered = clocks.correct(numbered, "first_ns", "at_ns").sort("flow", "at_ns", "exchange")
    numbered = _fullest(numbered, flows, nearest)
    asked = numbered.filter(pl.col("kind") == "http-request").with_columns(
        turn=pl.col("exchange").cum_count().over("flow"), turns=pl.len().over("flow")
    )
    # Interim responses (RFC 9110, section 15.2) are no answers, but 101 is one. They are rare: where the snap length
    # cut the status, the answer came.
    final = (pl.col("status") >= 200) | (pl.col("status") == 101)
    answers = numbered.filter(pl.col("kind") == "http-response", final.fill_null(value=True))
    answers = answers.select(
        "flow", "at_ns", "status", "body_bytes", "headers", answered_ns="at_ns", answer_bytes="wire_bytes",
        turn=pl.col("exchange").cum_count().over("flow"), answers=pl.len().over("flow"),
    )  # fmt: skip
    # A whole line was seen where a header came after it.
    cut = ~pl.col("complete") & (pl.col("headers").list.len() == 0)
    asked = asked.select(
        "exchange", "flow", "leg", "point", "at_ns", "method", "target", "headers", "turn", "turns",
        asked_bytes="wire_bytes", cut=cut,
    )  # fmt: skip
    paired = _answered(asked, answers)
    after = pl.col("at_ns").shift(-1).over("leg", order_by="at_ns")
    target = pl.col("target").fill_null("").str.replace(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?]*", "")
    return paired.select(
        "exchange",
        "leg",
        "turn",
        "point",
        "method",
        "status",
        "body_bytes",
        "asked_bytes",
        "answer_bytes",
        "cut",
        "answered_ns",
        asked_ns="at_ns",
        until_ns=pl.coalesce("answered_ns", after),
        target=target,
        tail=target.str.extract(r"([^/?]*/?(?:\?.*)?)$").fill_null(""),
        host=_header("host"),
        agent=_header("user-agent"),
        headers=pl.concat_list("headers", pl.col("headers_right").fill_null(pl.lit([], pl.List(pl.String)))),
        own_headers="headers",
    )


def marks(*tables: pl.DataFrame) -> list[pl.DataFrame]:
    """What the same request has on both sides of a proxy: ``exchange`` and ``mark``, for each table of exchanges.

    That is the end of the target, for proxies add prefixes and take them away. Where targets were cut it is the
    beginning as well, so much of it as is left everywhere: how much the snap length leaves hangs on TCP's options.
    """
    cut = pl.concat([table.filter("cut").select(length=pl.col("target").str.len_bytes()) for table in tables])
    found = []
    for table in tables:
        method = pl.col("method").fill_null("")
        ends = table.select("exchange", mark=pl.format("{} {}", method, "tail"))
        if cut.height:
            left = pl.lit(int(cut["length"].min()))  # type: ignore[arg-type]
            begins = table.select("exchange", mark=pl.format("{} {}...", method, pl.col("target").str.head(left)))
            ends = pl.concat([ends, begins])
        found.append(ends)
    return found


def ids(table: pl.DataFrame) -> pl.DataFrame:
    """Values that may be unique to an exchange: ``exchange``, ``leg``, ``name``, ``value``."""
    lines = table.select("exchange", "leg", line="headers").explode("line").drop_nulls("line")
    lines = _split(lines).filter(~pl.col("name").is_in(_NO_IDS))
    pieces = pl.concat_list(
        pl.col("value").str.extract_all(_ID).list.filter(pl.element().str.contains(r"\d")),
        pl.col("value").str.extract_all(_TRACE),
    )
    short = pl.col("value").str.len_bytes().is_between(*_SHORT_BYTES) & pl.col("value").str.contains(_SHORT_ID)
    pieces = pl.when(short).then(pl.concat_list("value")).otherwise(pieces)
    return (
        lines.with_columns(value=pieces)
        .explode("value")
        .drop_nulls("value")
        .filter(~pl.col("value").str.contains(_ADDRESS))
        .unique(["exchange", "value"], keep="first", maintain_order=True)
    )


def clients(table: pl.DataFrame, addresses: pl.DataFrame) -> pl.DataFrame:
    """Clients that the headers of requests name, nearest last: ``exchange``, ``client``, ``client_end``, ``place``.

    ``client`` is an address number, ``client_end`` its :func:`flowscope.nat.numbers.endpoint` where a port was named;
    ``place`` is 0 for the last client in its header: that one the proxy itself has seen.
    """
    lines = table.select("exchange", line="own_headers").explode("line").drop_nulls("line")
    lines = _split(lines).filter(~pl.col("name").is_in(_NO_CLIENTS))
    items = pl.col("value").str.split(",").list.reverse()
    named = (
        lines.with_columns(item=items, place=pl.int_ranges(items.list.len()))
        .explode("item", "place")
        .with_columns(
            item=pl.col("item").str.extract(r"(?i)(?:^|;)\s*for\s*=\s*\"?([^\";]+)").fill_null(pl.col("item"))
        )
        .with_columns(item=pl.col("item").str.strip_chars(' "'))
        .filter(pl.col("item").str.contains(_ADDRESS))
    )
    four = r"^\[?(\d+\.\d+\.\d+\.\d+)\]?(?::(\d+))?$"
    six = r"^\[([0-9a-f:.]+)\](?::(\d+))?$"
    text = pl.col("item").str.to_lowercase()
    named = named.select(
        "exchange",
        "place",
        # A dual-stack proxy writes IPv4 addresses as mapped ones.
        text=pl.coalesce(text.str.extract(four, 1), text.str.extract(six, 1), text).str.replace(
            r"^::ffff:(\d+\.)", "$1"
        ),
        port=pl.coalesce(text.str.extract(four, 2), text.str.extract(six, 2)).cast(pl.UInt16, strict=False),
    )
    number = addresses.select("text", client="address")
    found = named.join(number, "text").with_columns(src=pl.col("client"), src_port=pl.col("port"))
    return found.select("exchange", "client", "place", client_end=endpoint("src")).unique(maintain_order=True)


def _fullest(numbered: pl.DataFrame, flows: pl.DataFrame, nearest: Literal["first", "last"]) -> pl.DataFrame:
    """Keeps, of each leg, the messages of the flow with the most of them, and of these the most that were not cut."""
    per_flow = numbered.group_by("leg", "flow").agg(told=pl.len(), whole=pl.col("complete").sum())
    if per_flow["leg"].n_unique() == per_flow.height:
        return numbered
    # As in the leg table: the nearer to the client, the higher the TTL and the earlier.
    order = flows.select("flow", "at_ns", ttl=pl.col("fwd_ttl_max").fill_null(0))
    best = (
        per_flow.join(order, "flow")
        .sort("leg", "ttl", "at_ns", descending=[False, nearest == "first", nearest == "last"])
        .sort("leg", "told", "whole", descending=[False, True, True], maintain_order=True)
        .unique("leg", keep="first", maintain_order=True)
    )
    return numbered.filter(pl.col("flow").is_in(best["flow"].implode()))


def _answered(asked: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Each request with its response: by order where all were seen, else the next in time."""
    all_seen = answers.select("flow", "answers").unique()
    asked = asked.join(all_seen, "flow", how="left", maintain_order="left")
    whole = pl.col("turns") == pl.col("answers")
    by_order = asked.filter(whole.fill_null(value=False)).join(answers, ["flow", "turn"], how="left", suffix="_right")
    rest = asked.filter(~whole.fill_null(value=False))
    by_time = rest.sort("at_ns").join_asof(
        answers.sort("at_ns").drop("turn", "answers"),
        on="at_ns",
        by="flow",
        strategy="forward",
        suffix="_right",
        check_sortedness=False,
    )
    columns = [*asked.columns, "answered_ns", "answer_bytes", "status", "body_bytes", "headers_right"]
    return pl.concat([by_order.select(columns), by_time.select(columns)])


def _split(lines: pl.DataFrame) -> pl.DataFrame:
    """``line`` as ``name`` (lower case) and ``value``."""
    parts = pl.col("line").str.splitn(": ", 2)
    return lines.select(
        pl.exclude("line"),
        name=parts.struct.field("field_0").str.to_lowercase(),
        value=parts.struct.field("field_1"),
    ).drop_nulls("value")


def _header(name: str) -> pl.Expr:
    """The first header of this name."""
    wanted = pl.element().str.extract(rf"(?i)^{name}: (.*)$")
    return pl.col("headers").list.eval(wanted.drop_nulls()).list.first()
