"""Flow logs: versions, wrappers, orders of fields; what is no record; what is damaged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flowscope.cloud.flow_log import join_logs
from flowscope.cloud.flow_log_files import read_flow_log_file
from flowscope.errors import GivenFileError

NSG = "/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/WEB-NSG"


def read(path: Path, content: str | bytes) -> pl.DataFrame:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_flow_log_file(str(path))[1]


def nsg_record(version: int, *tuples: str, rule: str = "UserRule_deny-all") -> dict[str, Any]:
    flows = [{"rule": rule, "flows": [{"mac": "0", "flowTuples": list(tuples)}]}]
    return {"resourceId": NSG, "properties": {"flows": flows, "Version": version}}


V1 = "1767225600,198.51.100.7,10.1.0.4,40000,8080,T,I,D"
V2 = "1767225601,198.51.100.7,10.1.0.4,40001,8080,T,I,A,B,,,,"
V2_END = "1767225661,10.1.0.4,203.0.113.9,40002,53,U,O,A,E,3,300,2,900"


def test_versions_of_nsg_flow_logs_stand_in_one_file(tmp_path: Path) -> None:
    rows = read(tmp_path / "log", json.dumps({"records": [nsg_record(1, V1), nsg_record(2, V2, V2_END)]})).rows(
        named=True
    )
    assert [(row["src_port"], row["decision"], row["state"], row["packets"], row["bytes"]) for row in rows] == [
        (40000, "deny", None, None, None), (40001, "allow", "begin", None, None), (40002, "allow", "end", 5, 1200),
    ]  # fmt: skip
    assert {(row["rule"], row["group"]) for row in rows} == {("deny-all", "WEB-NSG")}
    assert rows[2]["protocol"] == 17 and rows[2]["direction"] == "outbound"
    # The second is all that is known of the time.
    assert (rows[0]["start_ns"], rows[0]["end_ns"]) == (1767225600 * 10**9, 1767225601 * 10**9 - 1)


@pytest.mark.parametrize("write", [
    lambda records: "\n".join(json.dumps(one) for one in records),
    lambda records: json.dumps({"records": [{"records": records}]}),
    lambda records: json.dumps(records),
    lambda records: json.dumps({"RECORDS": records}).replace("flowTuples", "FlowTuples"),
    lambda records: json.dumps({"records": records * 2}),
])  # fmt: skip
def test_wrappers(tmp_path: Path, write: Any) -> None:
    assert read(tmp_path / "log", write([nsg_record(1, V1), nsg_record(2, V2)])).height == 2


def test_encodings_and_gzip(tmp_path: Path) -> None:
    text = json.dumps({"records": [nsg_record(2, V2)]})
    for content in (
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        text.encode("utf-16-le"),
        gzip.compress(text.encode(), mtime=0),
    ):
        assert read(tmp_path / "log", content).height == 1


@pytest.mark.parametrize(("time", "exact"), [(1767225600123, True), (1767225600, False)])
def test_vnet_flow_logs_have_no_decision_field(tmp_path: Path, time: int, exact: bool) -> None:
    tuples = [f"{time},198.51.100.7,10.1.0.4,4{n},8080,6,I,{state},NX,0,0,0,0" for n, state in enumerate("BCED")]
    groups = [{"flowTuples": tuples, "rule": "DefaultRule_DenyAllInBound"}]
    zeros = "00000000-0000-0000-0000-000000000000"
    record = {"flowRecords": {"flows": [{"flowGroups": groups, "aclID": zeros}]}, "flowLogVersion": 4}
    rows = read(tmp_path / "log", json.dumps({"records": [record]})).rows(named=True)
    assert [row["decision"] for row in rows] == ["allow", "allow", "allow", "deny"]
    assert [row["state"] for row in rows] == ["begin", "continue", "end", None]
    assert {(row["rule"], row["group"]) for row in rows} == {("DenyAllInBound", "platform")}
    assert rows[0]["start_ns"] == time * (10**6 if exact else 10**9)


HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
RECORD = "2 111122223333 eni-0a 198.51.100.7 10.1.0.4 40000 8080 6 1 60 1767225600 1767225659 REJECT OK"
EMPTY = "2 111122223333 eni-0a - - - - - - - 1767225600 1767225659 - NODATA"


@pytest.mark.parametrize("content", [
    f"{HEADER}\n{RECORD}\n",
    RECORD,
    f"{HEADER}\n{EMPTY}\n\n{HEADER}\n{RECORD}\n",
    f"{HEADER.replace(' ', ',')}\n{RECORD.replace(' ', ',')}\n",
    json.dumps({"events": [{"message": EMPTY}, {"message": RECORD}]}),
    "action dstaddr srcaddr dstport srcport protocol start end\n"
    "REJECT 10.1.0.4 198.51.100.7 8080 40000 6 1767225600 1767225659",
    # Behind a NAT gateway the packet's own addresses are others.
    "srcaddr dstaddr pkt-srcaddr pkt-dstaddr srcport dstport protocol start end action\n"
    "10.9.9.9 10.1.0.4 198.51.100.7 10.1.0.4 40000 8080 6 1767225600 1767225659 REJECT",
])  # fmt: skip
def test_vpc_flow_logs(tmp_path: Path, content: str) -> None:
    (row,) = read(tmp_path / "log", content).rows(named=True)
    ends = tuple(row[key] for key in ("src", "src_port", "dst", "dst_port", "protocol", "decision"))
    assert ends == ("198.51.100.7", 40000, "10.1.0.4", 8080, 6, "deny")
    assert (row["start_ns"], row["end_ns"]) == (1767225600 * 10**9, 1767225660 * 10**9 - 1)


def test_vpc_flow_logs_as_parquet(tmp_path: Path) -> None:
    names = HEADER.replace("-", "_").split()
    rows = [dict(zip(names, line.split(), strict=True)) for line in (RECORD, EMPTY)]
    pl.DataFrame(rows).write_parquet(tmp_path / "log")
    given, records = read_flow_log_file(str(tmp_path / "log"))
    assert (records.height, dict(given.read)) == (1, {"records": 1, "without-data": 1})


def test_what_two_files_repeat_counts_once(tmp_path: Path) -> None:
    read(tmp_path / "a", RECORD)
    read(tmp_path / "b", f"{HEADER}\n{RECORD}\n{RECORD.replace('40000', '40001')}\n")
    log = join_logs([read_flow_log_file(str(tmp_path / name)) for name in "ab"])
    assert (log.records.height, len(log.files)) == (2, 2)


def test_a_tuple_that_cannot_be_read_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(json.dumps({"records": [nsg_record(2, V2, "1767225601,10.1.0.4", V2_END.replace("203.0", "x"))]}))
    given, records = read_flow_log_file(str(path))
    assert records.height == 1 and given.read["unreadable"] == 2


@pytest.mark.parametrize(("content", "said"), [
    ("", "is empty"),
    (json.dumps({"records": [nsg_record(2, V2)]})[:-9], "the file is cut"),
    (json.dumps({"records": [nsg_record(2, "none")]}), "none of its 1 flow tuples can be read, the first is 'none'"),
    ('{"securityRules": []}', "is security rules: give them with --nsg"),
    ("[]", "empty list"),
    ("2 111122223333 eni-0a 198.51.100.7 10.1.0.4 40000 8080 REJECT", "8 fields without a header; give"),
    ("hello\n", "is no flow log that is known; --flow-log takes"),
    (b"PAR1 and nothing else", "is a damaged Parquet file"),
    (gzip.compress(RECORD.encode(), mtime=0)[:-4], "its gzip stream has no end"),
    (b"\x1f\x8b\x08 damaged", "damaged gzip"),
])  # fmt: skip
def test_what_is_damaged_gets_one_clear_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    path = tmp_path / "log"
    with pytest.raises(GivenFileError, match=said) as error:
        read(path, content)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
