"""Probes are told from clients by where they come from and by what they say."""

from __future__ import annotations

import ipaddress

import polars as pl
import pytest

from flowscope.nat.topology import Member, Pool, Probe, Topology
from flowscope.probes.recognise import Known, recognised
from tests.traffic import flows, paths

TEXTS = ("168.63.129.16", "10.0.0.4", "35.191.3.4", "2600:2d00:1:b029::7", "198.51.100.7", "192.0.2.9")
MESSAGES = {"flow": pl.UInt64, "kind": pl.String, "headers": pl.List(pl.String), "src": pl.String}


def addresses() -> pl.DataFrame:
    rows = []
    for at, text in enumerate(TEXTS):
        one = ipaddress.ip_address(text)
        value = int(one) + (0xFFFF << 32 if one.version == 4 else 0)
        rows.append((at, text, value >> 64, value & (2**64 - 1)))
    schema = {"address": pl.UInt32, "text": pl.String, "high": pl.UInt64, "low": pl.UInt64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def calls(*ends: tuple[int, int]) -> pl.DataFrame:
    return paths(*({"client": a, "backend": b, "backend_port": 443, "legs": [at]} for at, (a, b) in enumerate(ends)))


def policies(
    table: pl.DataFrame, headers: dict[int, list[str]] | None = None, topology: Topology | None = None
) -> dict[int, str]:
    rows = [{"flow": at, "kind": "http-request", "headers": lines} for at, lines in (headers or {}).items()]
    seen = flows(*({} for _ in range(table.height))).with_columns(leg=pl.col("flow").cast(pl.UInt32))
    known = Known(topology or Topology())
    found = recognised(table, addresses(), pl.DataFrame(rows, schema=MESSAGES), seen, known)
    return dict(found.select("path", "policy").iter_rows())


def test_documented_sources() -> None:
    assert policies(calls((0, 1), (2, 1), (3, 1), (4, 1))) == {0: "azure-lb", 1: "gcp", 2: "gcp"}


def test_a_members_own_call_to_the_platform_is_no_probe() -> None:
    assert policies(calls((1, 0))) == {}


@pytest.mark.parametrize(
    ("header", "policy"),
    [
        ("X-FD-HealthProbe: 1", "front-door"),
        ("User-Agent: Edge Health Probe", "front-door"),
        ("User-Agent: ELB-HealthChecker/2.0", "aws-nlb"),
        ("user-agent: kube-probe/1.31", "generic"),
    ],
)
def test_what_a_probe_says_of_itself(header: str, policy: str) -> None:
    assert policies(calls((4, 1)), {0: ["Host: a", header]}) == {0: policy}
    assert policies(calls((4, 1)), {0: [f"X-Note: {header}"]}) == {}


def test_the_topology_comes_first() -> None:
    probe = Probe(source=(ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("168.63.129.16/32")))
    known = Topology(pools=(Pool("web", (Member("vm", "10.0.0.4", 443),), probe),))
    assert policies(calls((5, 1), (0, 1)), topology=known) == {0: "generic", 1: "generic"}


def test_a_clouds_proxies_send_from_its_probers_addresses() -> None:
    headers = {0: ["User-Agent: GoogleHC/1.0"], 1: ["User-Agent: curl/8", "Via: 1.1 google"]}
    assert policies(calls((2, 1), (2, 1), (2, 1)), headers) == {0: "gcp", 2: "gcp"}


def test_a_proxys_own_calls_from_the_probers_address_are_no_probes() -> None:
    probe = Probe(source=(ipaddress.ip_network("192.0.2.9/32"),), protocol="http", port=81)
    known = Topology(pools=(Pool("web", (Member("vm", "10.0.0.4", 443),), probe),))
    assert policies(calls((5, 1)), topology=known) == {}


def test_nothing_recognised_is_an_empty_series() -> None:
    none = pl.DataFrame(schema=MESSAGES)
    table = calls((4, 1))
    found = recognised(table, addresses(), none, flows({}).with_columns(leg=pl.lit(0, pl.UInt32)), Known())
    assert found["path"].to_list() == []
    assert table.filter(pl.col("path").is_in(found["path"].implode())).height == 0
