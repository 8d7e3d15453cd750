"""Questions that stages ask a topology."""

from __future__ import annotations

import pytest

from flowscope.nat.topology import Topology
from flowscope.nat.topology_file import parse_topology

WEB = {
    "frontend": [
        {"name": "web", "address": "10.0.0.100", "port": 80, "pool": "web"},
        {"address": "2001:DB8::100", "port": 443, "protocol": "udp", "pool": "web", "mode": "dsr"},
    ],
    "pool": [
        {
            "name": "web",
            "members": [
                {"name": "vm1", "address": "10.0.0.4", "port": 8080},
                {"address": "10.0.0.5", "port": 8080, "enabled": False},
                {"name": "vm1", "address": "10.0.0.4", "port": 8081},
            ],
            "probe": {"source": ["168.63.129.16", "2001:db8:1::/48"], "protocol": "http"},
        }
    ],
    "snat": [{"address": "20.1.1.1", "ports": "1024-2047", "members": ["vm1"]}],
}


@pytest.fixture
def web() -> Topology:
    return parse_topology(WEB, "lb.toml")


def test_frontend_by_address_port_and_protocol(web: Topology) -> None:
    assert web.frontend_of("10.0.0.100", 80).name == "web"
    assert web.frontend_of("10.0.0.100", 80, "tcp") is web.frontends[0]
    assert web.frontend_of("10.0.0.100", 80, "udp") is None
    assert web.frontend_of("2001:db8::100", 443).name == "[2001:db8::100]:443"
    assert web.frontend_of("10.0.0.100", 81) is None


def test_members_by_pool_address_and_port(web: Topology) -> None:
    assert [member.port for member in web.members_of("web")] == [8080, 8080, 8081]
    assert web.members_of("none") == () == web.members_of(None)
    assert web.member_at("10.0.0.4").port == 8080
    assert web.member_at("10.0.0.4", 8081).port == 8081
    assert web.member_at("10.0.0.9") is None


def test_names_are_those_that_were_given(web: Topology) -> None:
    assert web.name_of("10.0.0.4") == "vm1"
    assert web.name_of("10.0.0.100") == "web"
    assert web.name_of("10.0.0.5") is None
    assert web.name_of("2001:db8::100") is None


def test_what_shares_an_address_is_told_apart_by_its_port() -> None:
    shared = parse_topology(
        {
            "frontend": [
                {"name": "shop", "address": "10.0.0.100", "port": 80, "pool": "web"},
                {"name": "mail", "address": "10.0.0.100", "port": 25, "pool": "web"},
            ],
            "pool": [
                {
                    "name": "web",
                    "members": [
                        {"name": "blue", "address": "10.0.0.4", "port": 8080},
                        {"name": "green", "address": "10.0.0.4", "port": 8081},
                    ],
                }
            ],
        },
        "lb.toml",
    )
    assert [shared.name_of("10.0.0.4", port) for port in (8080, 8081, 22, None)] == ["blue", "green", None, None]
    assert [shared.name_of("10.0.0.100", port) for port in (80, 25, 443, None)] == ["shop", "mail", None, None]


def test_probe_sources_are_addresses_and_prefixes(web: Topology) -> None:
    probe = web.pools[0].probe
    assert probe is not None
    assert [str(one) for one in probe.source] == ["168.63.129.16/32", "2001:db8:1::/48"]


def test_snat_by_address(web: Topology) -> None:
    assert web.snat_at("20.1.1.1").ports == (1024, 2047)
    assert web.snat_at("20.1.1.2") is None


def test_an_empty_topology_says_nothing(web: Topology) -> None:
    assert not Topology()
    assert not parse_topology({"point": [{"file": "vm1.pcap"}]}, "lb.toml")
    assert web
