"""AWS VPC flow logs: text with a header or in the documented order, Parquet, CSV, or the events of CloudWatch Logs.

Fields and their order are free; a header may come again in mid-file. Rows of intervals without data have dashes and are
no denied traffic. Behind a NAT gateway the packet's own addresses stand in ``pkt-srcaddr`` and ``pkt-dstaddr``.

Source: Amazon VPC user guide, flow log records (versions 2 to 5).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

import polars as pl

from flowscope.cloud.flow_log import SECOND, canonical, number, record_frame
from flowscope.errors import GivenFileError

_FIELDS = [
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes",
    "start", "end", "action", "log-status",
    "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr",
    "region", "az-id", "sublocation-type", "sublocation-id",
    "pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction", "traffic-path",
]  # fmt: skip
"""In the order in which the versions brought them."""
_WIDTHS = (14, 21, 25, 29)
"""All fields of version 2, and of all versions up to 3, 4 and 5."""
_NOTHING = ("-", "", "None", "none", "null")
_ASK = "give the file with its header line (the field names of the flow log's format, srcaddr, dstaddr, ...)"


def holds_flow_log(text: str) -> bool:
    """True when the first line with anything in it is a header, or a record in the documented order."""
    line = next((line for line in text.split("\n", 50) if line.strip()), "")
    words = _words(line)
    return _is_header(words) or _is_documented(words)


def looks_like_records(text: str) -> bool:
    """True when its first line has an interface and two addresses, in whatever order."""
    line = next((line for line in text.split("\n", 50) if line.strip()), "")
    return " eni-" in f" {line}" and len(_words(line)) > 5


def messages_of(tree: Any) -> list[str]:
    """Records that CloudWatch Logs prints as events (``aws logs filter-log-events``)."""
    events = tree.get("events") if isinstance(tree, dict) else None
    return [
        str(one["message"]) for one in events or [] if isinstance(one, dict) and isinstance(one.get("message"), str)
    ]


def read_text(lines: Iterable[str], file: str) -> tuple[pl.DataFrame, dict[str, int]]:
    """The records of a text, and counts of what else stood there.

    Raises:
        GivenFileError: there is no header, and the records are not in a documented order.
    """
    fields: list[str] | None = None
    rows: list[tuple[object, ...]] = []
    counts = {"without-data": 0, "unreadable": 0}
    for number_, line in enumerate(lines, 1):
        words = _words(line)
        if not words:
            continue
        if _is_header(words):
            fields = [word.lower().replace("_", "-") for word in words]
            continue
        if fields is None:
            if not _is_documented(words):
                raise GivenFileError(file, f"line {number_}: {len(words)} fields without a header; {_ASK}")
            fields = _FIELDS[: len(words)]
        if len(words) != len(fields):
            counts["unreadable"] += 1
            continue
        _add(dict(zip(fields, words, strict=True)), rows, counts)
    return record_frame(rows), counts


def read_parquet(data: bytes, file: str) -> tuple[pl.DataFrame, dict[str, int]]:
    """The records of a Parquet file; its columns have underscores where the text has hyphens.

    Raises:
        GivenFileError: it is damaged, or has no addresses.
    """
    try:
        table = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise GivenFileError(file, f"is a damaged Parquet file ({str(error).splitlines()[0][:80]})") from None
    table = table.rename({name: name.lower().replace("_", "-") for name in table.columns})
    if not {"srcaddr", "dstaddr"} & set(table.columns):
        raise GivenFileError(file, f"is Parquet without srcaddr and dstaddr: no flow log; {_ASK}")
    rows: list[tuple[object, ...]] = []
    counts = {"without-data": 0, "unreadable": 0}
    for row in table.iter_rows(named=True):
        _add({key: "-" if value is None else str(value) for key, value in row.items()}, rows, counts)
    return record_frame(rows), counts


def _add(row: dict[str, str], rows: list[tuple[object, ...]], counts: dict[str, int]) -> None:
    def value(*names: str) -> str:
        return next((row[name] for name in names if row.get(name, "-") not in _NOTHING), "")

    src, dst = value("pkt-srcaddr", "srcaddr"), value("pkt-dstaddr", "dstaddr")
    if value("log-status") in ("NODATA", "SKIPDATA") or not src or not dst:
        counts["without-data"] += 1
        return
    try:
        start, end = number(value("start")), number(value("end"))
        rows.append((
            canonical(src), number(value("srcport")), canonical(dst), number(value("dstport")),
            number(value("protocol")), None if start is None else start * SECOND,
            None if end is None else (end + 1) * SECOND - 1,
            {"ingress": "inbound", "egress": "outbound"}.get(value("flow-direction")),
            {"ACCEPT": "allow", "REJECT": "deny"}.get(value("action")), None, value("interface-id") or None,
            None, number(value("packets")), number(value("bytes")),
        ))  # fmt: skip
    except ValueError:
        counts["unreadable"] += 1


def _words(line: str) -> list[str]:
    return [word.strip('"') for word in re.split(r"[,\t]| +", line.strip())] if line.strip() else []


def _is_header(words: list[str]) -> bool:
    names = {word.lower().replace("_", "-") for word in words}
    return len(names & set(_FIELDS)) > 1 and bool(names & {"srcaddr", "pkt-srcaddr"})


def _is_documented(words: list[str]) -> bool:
    return (
        len(words) in _WIDTHS
        and words[0].isdecimal()
        and words[12] in ("ACCEPT", "REJECT", "-")
        and words[13] in ("OK", "NODATA", "SKIPDATA")
    )
