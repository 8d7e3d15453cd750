"""Flows as Zeek's conn.log."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.report import render_rows
from flowscope.report.look import Look
from tests.capture_bytes import handshake, pcap

pytestmark = pytest.mark.usefixtures("core")


def log(analysis: Any) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Header and rows, read by the rules of the header itself, as zeek-cut does."""
    out = io.BytesIO()
    render_rows(analysis, "flows", "zeek", out, Look())
    header: dict[str, str] = {}
    rows = []
    for line in out.getvalue().decode("ascii").splitlines():
        if line.startswith("#"):
            name, _, value = line[1:].replace(" ", "\t", 1).partition("\t")
            header[name] = value
        else:
            values = line.split("\t")
            names = header["fields"].split("\t")
            assert len(values) == len(names) == len(header["types"].split("\t"))
            rows.append(dict(zip(names, values, strict=True)))
    return header, rows


@pytest.fixture(scope="module")
def sample(samples: Path) -> Analysis:
    folder = samples / "closed-port"
    return analyze([folder / "be2.pcap", folder / "client.pcap"], topology=str(folder / "topology.toml"))


def test_header_is_zeeks(sample: Analysis) -> None:
    header, _ = log(sample)
    assert header["separator"] == "\\x09" and header["path"] == "conn"
    assert header["fields"].startswith(
        "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state"
    )
    assert header["types"].startswith(
        "time\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring"
    )
    assert re.fullmatch(r"\d{4}(-\d\d){5}", header["open"]) and header["open"] <= header["close"]


def test_rows_are_the_flows(sample: Analysis) -> None:
    _, rows = log(sample)
    assert len(rows) == sample.flows.height == len({row["uid"] for row in rows})
    texts, points = sample.addresses["text"], {point.number: point.name for point in sample.points}
    for row, flow in zip(rows, sample.flows.iter_rows(named=True), strict=True):
        assert (row["id.orig_h"], row["id.resp_h"]) == (texts[flow["src"]], texts[flow["dst"]])
        assert (row["id.orig_p"], row["id.resp_p"]) == (str(flow["src_port"]), str(flow["dst_port"]))
        assert (row["conn_state"], row["history"], row["point"]) == (
            flow["state"], flow["history"], points[flow["point"]]
        )  # fmt: skip
        assert (int(row["orig_bytes"]), int(row["resp_pkts"])) == (flow["fwd_payload_bytes"], flow["rev_packets"])
        assert abs(float(row["ts"]) - flow["first_ns"] / 1e9) < 1e-5
        assert abs(float(row["duration"]) - (flow["last_ns"] - flow["first_ns"]) / 1e9) < 2e-6
        assert re.fullmatch(r"C[0-9A-Za-z]{16}", row["uid"])
    assert {row["service"] for row in rows} == {"http", "-"}
    assert log(sample) == log(sample)


def test_hostile_names_stay_in_their_field(tmp_path: Path) -> None:
    for at, name in enumerate(("a\tb\n#close\x1b[2J", "-", "ü")):
        path = tmp_path / f"{at}.pcap"
        path.write_bytes(pcap(handshake(1000 + at)))
        from flowscope.settings import Settings

        _, rows = log(analyze([path], settings=Settings(points=((f"{at}.pcap", name),))))
        assert [row["point"] for row in rows] == ["".join(_expected(name))]


def _expected(name: str) -> list[str]:
    special = {"-": ["\\x2d"], "ü": ["\\xc3", "\\xbc"]}
    return special.get(name) or [char if char.isprintable() else f"\\x{ord(char):02x}" for char in name]


def test_no_flows_are_a_header(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(pcap([]))
    header, rows = log(analyze([path]))
    assert rows == [] and header["path"] == "conn"


def test_other_tables_have_no_log(sample: Analysis) -> None:
    with pytest.raises(ValueError, match="no log of paths"):
        render_rows(sample, "paths", "zeek", io.BytesIO(), Look())
