"""The files of ``--flow-log``: which kind each is, by its content."""

from __future__ import annotations

import polars as pl

from flowscope.cloud import aws_flow_logs, azure_flow_logs
from flowscope.cloud.given import Given, given_of
from flowscope.cloud.json_tree import looks_like_json, parse_json
from flowscope.cloud.text import GivenBytes, decode, read_bytes
from flowscope.cloud.unknown_form import what_it_is
from flowscope.errors import GivenFileError

_WANTED = "--flow-log takes NSG or VNet flow logs of Azure (JSON) and VPC flow logs of AWS (text or Parquet)"


def read_flow_log_file(path: str) -> tuple[Given, pl.DataFrame]:
    """One file of ``--flow-log``: its entry for the report, and its records.

    Raises:
        GivenFileError: it cannot be read, or is no flow log.
    """
    data = read_bytes(path)
    kind, (records, counts) = _read(data)
    some = {name: n for name, n in counts.items() if n}
    return given_of("flow-log", data, kind, records=records.height, **some), records


def _read(data: GivenBytes) -> tuple[str, tuple[pl.DataFrame, dict[str, int]]]:
    path = data.path
    if data.data[:4] == b"PAR1":
        return "AWS VPC flow log (Parquet)", aws_flow_logs.read_parquet(data.data, path)
    text = decode(data, strict=False)
    if looks_like_json(text):
        tree = parse_json(data)
        messages = aws_flow_logs.messages_of(tree)
        if messages:
            return "AWS VPC flow log (CloudWatch Logs)", aws_flow_logs.read_text(messages, path)
        if not azure_flow_logs.holds_flow_log(tree):
            raise GivenFileError(path, f"{what_it_is(tree)}; {_WANTED}")
        return "Azure flow log", azure_flow_logs.read_flow_log(tree, path)
    if not aws_flow_logs.holds_flow_log(text) and not aws_flow_logs.looks_like_records(text):
        raise GivenFileError(path, f"is no flow log that is known; {_WANTED}")
    return "AWS VPC flow log", aws_flow_logs.read_text(text.split("\n"), path)
