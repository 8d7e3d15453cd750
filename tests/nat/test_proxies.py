"""The whole of it against a proxy's own log, and nothing where there is no proxy."""

from __future__ import annotations

import json
import shutil
import struct
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flowscope.analysis import Analysis, analyze
from tests.nat.proxy_wire import named, proxied

pytestmark = pytest.mark.usefixtures("core")

Pair = tuple[str, str, str, str]


def run(case: Path, *, known: bool) -> Analysis:
    topology = case / "topology.toml"
    points = tomllib.loads(topology.read_text("utf-8"))["point"]
    files = dict.fromkeys(str(case / point["file"]) for point in points)
    return analyze([file for file in files if Path(file).exists()], topology=str(topology) if known else None)


def logged(case: Path) -> set[Pair]:
    """Pairs of legs that the proxy says it served."""
    truth = json.loads((case / "truth.json").read_text("utf-8"))
    pairs = {ends(one["client_leg"], leg) for one in truth["connections"] for leg in server_legs(one)}
    return pairs | {ends(one["client_leg"], one["server_leg"]) for one in truth["extra"]["requests"]}


def server_legs(connection: dict[str, Any]) -> list[dict[str, Any]]:
    return [connection["server_leg"], *(connection.get("more_server_legs") or [])]


def ends(client: dict[str, Any], server: dict[str, Any]) -> Pair:
    a, b, c, d = (
        f"{leg[ip]}:{leg[port]}" for leg in (client, server) for ip, port in (("src", "sport"), ("dst", "dport"))
    )
    return a, b, c, d


@pytest.mark.parametrize("known", [True, False])
def test_haproxy_served_exactly_these(truth: Path, known: bool) -> None:
    case = truth / "lab" / "haproxy"
    analysis = run(case, known=known)
    found = proxied(analysis)
    assert not found["ambiguous"].any()
    assert {row[:4] for row in named(found, analysis)} == logged(case)
    assert found["requests"].sum() == 180


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("coarse", ["lb_out.pcap", "lb_in.pcap", "be1.pcap"])
def test_a_coarse_clock_turns_no_proxy_round(truth: Path, tmp_path: Path, coarse: str, known: bool) -> None:
    case = truth / "lab" / "haproxy"
    for file in case.iterdir():
        shutil.copy(file, tmp_path / file.name)
    ticking(tmp_path / coarse, 10_000)
    files = sorted(map(str, tmp_path.glob("*.pcap")))
    analysis = analyze(files, topology=str(case / "topology.toml") if known else None)
    text = dict(analysis.addresses.select("address", "text").iter_rows())
    ends = {
        leg: (f"{text[src]}:{src_port}", f"{text[dst]}:{dst_port}")
        for leg, src, src_port, dst, dst_port in analysis.legs.select(
            "leg", "src", "src_port", "dst", "dst_port"
        ).iter_rows()
    }
    joined = {(*ends[one], *ends[other]) for legs in analysis.paths["legs"] for one, other in pairwise(legs)}
    if coarse == "lb_in.pcap":
        # On the proxy's own side to its servers: what passes within a tick may have gone either way, or to another.
        assert len(joined - logged(case)) <= 1
        assert len(joined) >= 100
    else:
        assert joined == logged(case)


def ticking(file: Path, tick_us: int) -> None:
    """Leaves of all times of a pcap file what a clock shows that ticks so seldom; a tick divides a second."""
    data = bytearray(file.read_bytes())
    assert data[:4] == b"\xd4\xc3\xb2\xa1"
    at = 24
    while at < len(data):
        microseconds, length = struct.unpack_from("<II", data, at + 4)
        struct.pack_into("<I", data, at + 4, microseconds - microseconds % tick_us)
        at += 16 + length
    file.write_bytes(data)


def test_no_proxy_is_seen_where_there_is_none(truth: Path) -> None:
    for case in sorted((truth / "lab").iterdir()):
        if case.is_dir() and case.name != "haproxy":
            assert proxied(run(case, known=False)).height == 0, case.name
