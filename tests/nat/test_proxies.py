"""The whole of it against a proxy's own log, and nothing where there is no proxy."""

from __future__ import annotations

import json
import tomllib
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


def test_no_proxy_is_seen_where_there_is_none(truth: Path) -> None:
    for case in sorted((truth / "lab").iterdir()):
        if case.is_dir() and case.name != "haproxy":
            assert proxied(run(case, known=False)).height == 0, case.name
