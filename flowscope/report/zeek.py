"""The flows as Zeek writes them: ``conn.log``, tab-separated with Zeek's header, for tools that read Zeek's logs.

States and history letters are Zeek's own. ``orig_ip_bytes`` and ``resp_ip_bytes`` are unset: flowscope counts bytes of
the link layer. Two columns more than Zeek's tell the point, and the flow's number there.

Source: Zeek documentation, "conn.log" and "Zeek log formats and inspection" (2024).
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO

import polars as pl

from flowscope.report.look import Look
from flowscope.report.rows import SLICE, What, protocol_name

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

_FIELDS = {
    "ts": "time",
    "uid": "string",
    "id.orig_h": "addr",
    "id.orig_p": "port",
    "id.resp_h": "addr",
    "id.resp_p": "port",
    "proto": "enum",
    "service": "string",
    "duration": "interval",
    "orig_bytes": "count",
    "resp_bytes": "count",
    "conn_state": "string",
    "local_orig": "bool",
    "local_resp": "bool",
    "missed_bytes": "count",
    "history": "string",
    "orig_pkts": "count",
    "orig_ip_bytes": "count",
    "resp_pkts": "count",
    "resp_ip_bytes": "count",
    "tunnel_parents": "set[string]",
    "point": "string",
    "flow": "count",
}
_UNSET = "-"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: Messages that tell what a connection carries, by the name Zeek has for it.
_SERVICES = {"http": "http", "tls": "ssl", "dns": "dns", "quic": "quic"}


def render_rows(analysis: Analysis, what: What, out: BinaryIO, look: Look) -> None:
    """Writes the flows; times in seconds, UTC.

    Raises:
        ValueError: another table is asked for.
    """
    if what != "flows":
        raise ValueError(f"Zeek has no log of {what}")
    texts = analysis.addresses.sort("address")["text"]
    names = {point.number: _escaped(point.name) for point in analysis.points}
    services = _services(analysis)
    out.write(_head(analysis).encode())
    for start in range(0, analysis.flows.height, SLICE):
        rows = analysis.flows.slice(start, SLICE)
        lines = _lines(rows, texts, names, services).select(pl.concat_str(pl.all(), separator="\t").str.join("\n"))
        out.write(f"{lines.item()}\n".encode())
    out.write(f"#close\t{_date(analysis, 'last_ns')}\n".encode())


def _lines(rows: pl.DataFrame, texts: pl.Series, names: dict[int, str], services: pl.DataFrame) -> pl.DataFrame:
    last = pl.max_horizontal("last_ns", "first_ns")
    counts = {
        f"{whose}_{name}": pl.col(f"{half}_{column}").fill_null(0)
        for whose, half in (("orig", "fwd"), ("resp", "rev"))
        for name, column in (("bytes", "payload_bytes"), ("pkts", "packets"))
    }
    missed = pl.col("fwd_missing_bytes").fill_null(0) + pl.col("rev_missing_bytes").fill_null(0)
    unset = pl.lit(_UNSET)
    joined = rows.join(services, "flow", how="left", maintain_order="left")
    columns = {
        "ts": _seconds(pl.col("first_ns")),
        "uid": pl.Series([_uid(*key) for key in rows.select("point", "flow", "first_ns").iter_rows()], dtype=pl.String),
        "id.orig_h": texts.gather(rows["src"]),
        "id.orig_p": pl.col("src_port"),
        "id.resp_h": texts.gather(rows["dst"]),
        "id.resp_p": pl.col("dst_port"),
        "proto": protocol_name().str.replace("icmp6", "icmp"),
        "service": pl.col("service").fill_null(_UNSET),
        "duration": _seconds(last - pl.col("first_ns")),
        "orig_bytes": counts["orig_bytes"],
        "resp_bytes": counts["resp_bytes"],
        "conn_state": pl.col("state").fill_null("OTH"),
        "local_orig": unset,
        "local_resp": unset,
        "missed_bytes": missed,
        "history": pl.when(pl.col("history").fill_null("") == "").then(unset).otherwise("history"),
        "orig_pkts": counts["orig_pkts"],
        "orig_ip_bytes": unset,
        "resp_pkts": counts["resp_pkts"],
        "resp_ip_bytes": unset,
        "tunnel_parents": unset,
        "point": pl.col("point").replace_strict(names, default=_UNSET, return_dtype=pl.String),
        "flow": pl.col("flow"),
    }
    assert list(columns) == list(_FIELDS)
    return joined.select(
        (value if isinstance(value, pl.Expr) else pl.lit(value)).cast(pl.String).alias(name)
        for name, value in columns.items()
    )


def _services(analysis: Analysis) -> pl.DataFrame:
    """What each flow carries, as far as a message says so."""
    kind = pl.col("kind").str.split("-").list.first()
    service = kind.replace_strict(_SERVICES, default=None, return_dtype=pl.String)
    known = analysis.messages.select("flow", service=service)
    return known.drop_nulls().unique("flow", keep="first", maintain_order=True)


def _seconds(value: pl.Expr) -> pl.Expr:
    """Nanoseconds as seconds with six digits, cut as Zeek's times are."""
    micros = value // 1000
    return pl.format("{}.{}", micros // 1_000_000, (micros % 1_000_000).cast(pl.String).str.zfill(6))


def _uid(point: int, flow: int, first_ns: int) -> str:
    """An identifier of Zeek's form, the same for the same captures."""
    number = int.from_bytes(sha256(f"{point} {flow} {first_ns}".encode()).digest()[:12], "big")
    letters = ""
    for _ in range(16):
        number, digit = divmod(number, 62)
        letters += _BASE62[digit]
    return f"C{letters}"


def _head(analysis: Analysis) -> str:
    lines = [
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        f"#unset_field\t{_UNSET}",
        "#path\tconn",
        f"#open\t{_date(analysis, 'first_ns')}",
        "\t".join(["#fields", *_FIELDS]),
        "\t".join(["#types", *_FIELDS.values()]),
    ]
    return "\n".join(lines) + "\n"


def _date(analysis: Analysis, end: str) -> str:
    """When the captures began or ended: the same input gives the same log."""
    times = [time for one in analysis.captures if (time := getattr(one, end)) is not None]
    time_ns = (min if end == "first_ns" else max)(times, default=0)
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y-%m-%d-%H-%M-%S}"


def _escaped(text: str) -> str:
    """Text of one field: Zeek writes bytes that are no printable ASCII, and its own marks, as ``\\xNN``."""
    if text in ("", _UNSET, "(empty)"):
        return "".join(f"\\x{byte:02x}" for byte in text.encode())
    encoded = text.encode("utf-8", "replace")
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}" for byte in encoded)
