"""Probes are told from clients by where they come from and by what they say."""

from __future__ import annotations

import ipaddress

import polars as pl
import pytest

from flowscope.nat.topology import Member, Pool, Probe, Topology
from flowscope.probes.recognise import Known, Ranges, recognised
from tests.traffic import T0, flows, paths

TEXTS = ("168.63.129.16", "10.0.0.4", "35.191.3.4", "2600:2d00:1:b029::7", "198.51.100.7", "192.0.2.9")
MESSAGES = {
    "flow": pl.UInt64, "kind": pl.String, "headers": pl.List(pl.String), "target": pl.String, "src": pl.String,
    "complete": pl.Boolean,
}  # fmt: skip


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
    table: pl.DataFrame,
    headers: dict[int, list[str]] | None = None,
    topology: Topology | None = None,
    ranges: Ranges = (),
    proxied: tuple[int, ...] = (),
    cut: bool = False,
) -> dict[int, str]:
    rows: list[dict[str, object]] = [
        {"flow": at, "kind": "http-request", "headers": lines, "target": "/"} for at, lines in (headers or {}).items()
    ]
    rows += [{"flow": at, "kind": "proxy-v2", "src": None, "complete": not cut} for at in proxied]
    seen = flows(*({} for _ in range(table.height))).with_columns(leg=pl.col("flow").cast(pl.UInt32))
    known = Known(topology or Topology(), ranges=ranges)
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


def test_a_probe_that_says_it_is_anothers_is_not_taken_for_its_sources() -> None:
    assert policies(calls((0, 1), (0, 1)), {0: ["X-FD-HealthProbe: 1"]}) == {0: "front-door", 1: "azure-lb"}
    assert policies(calls((0, 1)), {0: ["User-Agent: kube-probe/1.31"]}) == {0: "azure-lb"}, "which names no balancer"


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


FRONT_DOOR: Ranges = (
    (ipaddress.ip_network("198.51.100.0/24"), "front-door"),
    (ipaddress.ip_network("192.0.2.0/24"), "front-door"),
)
EDGE, OTHER_EDGE, MEMBER = 4, 5, 1


def asked(*seconds: float, source: int = EDGE) -> list[dict[str, object]]:
    ends = {"client": source, "backend": MEMBER, "backend_port": 443}
    return [{**ends, "first_ns": T0 + round(one * 1e9)} for one in seconds]


def asking(rows: list[dict[str, object]]) -> pl.DataFrame:
    return paths(*({**row, "legs": [number]} for number, row in enumerate(rows)))


def test_edges_of_front_door_that_say_nothing_are_known_by_range_and_pace() -> None:
    probes, browsing = asked(0, 30, 60.4, 89.7, 120), asked(1, 1.2, 7, 31, 55, 56, 90, source=OTHER_EDGE)
    assert policies(asking(probes + browsing), ranges=FRONT_DOOR) == dict.fromkeys(range(5), "front-door")
    assert policies(asking(probes + browsing)) == {}


def test_clients_that_come_through_front_door_are_no_probes() -> None:
    assert policies(asking(asked(1, 1.2, 7, 31, 55, 56, 90)), ranges=FRONT_DOOR) == {}
    headers = {number: ["User-Agent: Mozilla/5.0", "Via: 1.1 Azure"] for number in range(5)}
    assert policies(asking(asked(0, 30, 60, 90, 120)), headers, ranges=FRONT_DOOR) == {}


def test_what_a_marked_prober_asks_in_vain_is_a_probe_too() -> None:
    marked = {0: ["User-Agent: ELB-HealthChecker/2.0"], 1: ["User-Agent: ELB-HealthChecker/2.0"]}
    # What was refused has no request.
    assert policies(asking(asked(0, 10, 20, 30)), marked) == dict.fromkeys(range(4), "aws-nlb")
    assert set(policies(asking(asked(0, 10, source=OTHER_EDGE) + asked(20, 30)), marked)) == {0, 1}


def test_beside_clients_from_the_same_address_only_its_pace_tells_what_was_refused() -> None:
    marked = {number: ["User-Agent: ELB-HealthChecker/2.0"] for number in range(4)}
    even, odd = asked(0, 10, 20, 30, 40, 50) + asked(3), asked(0, 10, 20, 30, 33, 34, 35) + asked(3)
    assert set(policies(asking(even), marked | {6: ["User-Agent: curl/8"]})) == set(range(6))
    assert set(policies(asking(odd), marked | {7: ["User-Agent: curl/8"]})) == set(range(4))


def test_a_proxy_that_speaks_for_itself_probes() -> None:
    rows = asking(asked(0, 10))
    assert policies(rows, proxied=(0, 1)) == {0: "generic", 1: "generic"}
    assert policies(rows, {0: ["User-Agent: curl"], 1: ["user-agent: curl"]}, proxied=(0, 1)) == {}
    assert policies(rows, proxied=(0, 1), cut=True) == {}, "whose it is was not captured"


def test_a_topology_that_names_front_doors_range_does_not_make_its_clients_probes() -> None:
    probe = Probe(source=(FRONT_DOOR[0][0],), protocol="http", port=443, path="/", policy="front-door")
    given = Topology(pools=(Pool("web", (Member("vm", "10.0.0.4", 443),), probe),))
    rows = asking(asked(0, 30, 60, 90, 120) + asked(1, 2, 40))
    headers = {5: ["User-Agent: Mozilla/5.0"], 6: ["User-Agent: Mozilla/5.0"]}
    # Number 7 said nothing, out of step.
    assert set(policies(rows, headers, given)) <= set(range(5))
    assert set(policies(asking(asked(0, 30, 60, 90, 120)), {}, given)) == set(range(5))
