"""Definitions become the topology that one would have written by hand; what they cannot say is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowscope.cloud.definition_files import Definitions, read_definitions
from flowscope.errors import GivenFileError, TopologyError
from flowscope.nat.topology import Member, Topology

SAMPLES = Path(__file__).parent / "samples"


def read(*names: str) -> Definitions:
    return read_definitions([str(SAMPLES / name) for name in names])


def fronts(topology: Topology) -> dict[str, tuple[str, int, str | None, str]]:
    return {one.name: (one.address, one.port, one.pool, one.mode) for one in topology.frontends}


def members(topology: Topology, pool: str) -> list[tuple[str, str, int, bool]]:
    return [(one.name, one.address, one.port, one.enabled) for one in topology.members_of(pool)]


def test_azure_load_balancer_alone_says_what_it_cannot_know() -> None:
    found = read("az-network-lb-show.json")
    assert fronts(found.topology) == {
        "http": ("10.1.0.100", 80, "web", "dnat"),
        "sql": ("10.1.0.100", 1433, "web-2", "dsr"),
    }
    assert members(found.topology, "web") == [("by-address", "10.1.0.6", 8080, False)]
    told = " | ".join(found.unknown)
    assert "pool web: 2 members are known by interface only; give their `az network nic show`" in told
    assert "rule public: its frontend outside has a public address that is not in the file" in told
    assert "rule ha balances all ports (HA ports)" in told
    assert dict(found.given[0].read)["rules"] == 4


def test_azure_load_balancer_with_its_interfaces_and_addresses() -> None:
    found = read("az-network-lb-show.json", "az-network-nic-list.json", "az-network-public-ip-show.json")
    topology = found.topology
    assert fronts(topology)["public"] == ("203.0.113.50", 443, "web-3", "dnat")
    assert fronts(topology)["ssh-a"] == ("10.1.0.100", 50001, "ssh-a", "dnat")
    assert members(topology, "web") == [
        ("by-address", "10.1.0.6", 8080, False), ("vm-a-nic", "10.1.0.4", 8080, True),
        ("vm-b-nic", "10.1.0.5", 8080, True),
    ]  # fmt: skip
    probe = topology.pools[0].probe
    assert probe is not None and [str(one) for one in probe.source] == ["168.63.129.16/32"]
    assert (probe.protocol, probe.port, probe.path, probe.interval_s, probe.policy) == (
        "http",
        8081,
        "/healthz",
        15.0,
        "azure-lb",
    )
    http = topology.frontend_of("10.1.0.100", 80)
    assert http is not None and http.idle_timeout_s == 240.0
    (snat,) = topology.snats
    assert (snat.address, snat.ports_per_member) == ("203.0.113.50", 1024)
    assert [str(one) for one in snat.inside] == ["10.1.0.6/32", "10.1.0.4/32", "10.1.0.5/32"]
    assert [one.kind for one in found.given] == ["Azure Load Balancer", "addresses of ids", "addresses of ids"]


def test_front_door_groups_and_origins_come_from_two_commands() -> None:
    found = read("az-afd-origin-group-show.json", "az-afd-origin-list.json")
    assert members(found.topology, "web") == [("a", "203.0.113.4", 8443, True), ("b", "203.0.113.5", 8443, False)]
    probe = found.topology.pools[0].probe
    assert probe is not None
    assert (probe.protocol, probe.path, probe.interval_s, probe.policy) == ("https", "/up", 60.0, "front-door")
    assert (probe.sample_size, probe.successful_samples) == (4, 3)
    assert any("origin shop.example.net is a name" in text for text in found.unknown)
    assert any("Front Door's own addresses are in no file" in text for text in found.unknown)


def test_classic_front_door_joins_its_settings_by_id() -> None:
    topology = read("az-front-door-show.json").topology
    assert members(topology, "web") == [("203.0.113.4", "203.0.113.4", 8080, True)]
    probe = topology.pools[0].probe
    assert probe is not None and (probe.interval_s, probe.sample_size, probe.successful_samples) == (120.0, 4, 2)


ELB = ("elbv2-load-balancers.json", "elbv2-listeners.json", "elbv2-target-groups.json", "elbv2-target-health.json")


def test_aws_says_which_file_is_missing() -> None:
    told = " | ".join(read(*ELB).unknown)
    assert "the address of target i-0aa is not in the file; give `aws ec2 describe-instances`" in told
    assert "shop: its addresses are not in the file (only its name); give `aws ec2 describe-network-interfaces`" in told
    assert "load balancers without listeners" in " ".join(read(ELB[0]).unknown)


def test_aws_network_load_balancer_from_all_its_commands() -> None:
    topology = read(*ELB, "ec2-instances.json", "ec2-network-interfaces-elb.json").topology
    assert fronts(topology) == {"shop:80": ("10.1.0.100", 80, "web", "dnat")}
    assert members(topology, "web") == [
        ("i-0aa", "10.1.0.4", 8080, True), ("i-0bb", "10.1.0.5", 8080, True), ("10.1.0.6", "10.1.0.6", 8080, False),
    ]  # fmt: skip
    probe = topology.pools[0].probe
    assert probe is not None and [str(one) for one in probe.source] == ["10.1.0.100/32"]
    assert (probe.protocol, probe.port, probe.path, probe.policy) == ("http", None, "/up", "aws-nlb")
    assert (probe.interval_s, probe.timeout_s, probe.unhealthy_threshold, probe.healthy_threshold) == (10.0, 6.0, 2, 3)


def test_kubernetes_services_with_their_slices() -> None:
    found = read("kubectl-svc-endpointslices.json")
    assert fronts(found.topology) == {
        "web/shop:http": ("10.96.0.20", 80, "web/shop:http", "dnat"),
        "web/shop:http@203.0.113.80": ("203.0.113.80", 80, "web/shop:http", "dnat+snat"),
        "web/shop:tls": ("10.96.0.20", 443, "web/shop:tls", "dnat"),
        "web/shop:tls@203.0.113.80": ("203.0.113.80", 443, "web/shop:tls", "dnat+snat"),
        "web/idle:80": ("10.96.0.21", 80, None, "dnat"),
    }
    assert members(found.topology, "web/shop:http") == [
        ("shop-1", "10.244.1.7", 8080, True), ("shop-2", "10.244.2.8", 8080, False),
    ]  # fmt: skip
    assert any("served on port 30080 of every node" in text for text in found.unknown)


def test_kubernetes_as_yaml_in_two_documents(tmp_path: Path) -> None:
    import yaml

    items = json.loads((SAMPLES / "kubectl-svc-endpointslices.json").read_text())["items"]
    path = tmp_path / "svc.yaml"
    path.write_text(yaml.safe_dump_all(items))
    assert (
        read_definitions([str(path)]).topology.frontends == read("kubectl-svc-endpointslices.json").topology.frontends
    )


def test_haproxy() -> None:
    found = read("haproxy.cfg")
    topology = found.topology
    assert fronts(topology) == {
        "web:80": ("10.1.0.100", 80, "shop", "proxy"),
        "web:8000": ("10.1.0.100", 8000, "shop", "proxy"),
        "web:8001": ("10.1.0.100", 8001, "shop", "proxy"),
        "sql:5432": ("10.1.0.101", 5432, "sql", "proxy"),
    }
    assert members(topology, "shop") == [("vm-a", "10.1.0.4", 8080, True), ("vm-b", "10.1.0.5", 8080, False)]
    assert members(topology, "api") == [("vm-a", "10.1.0.4", 9090, True), ("vm-d", "2001:db8::4", 9090, True)]
    # A server without a port is called on the client's.
    assert members(topology, "sql") == [("db1", "10.1.0.9", 5432, True)]
    web, sql = topology.frontends[0], topology.frontends[-1]
    assert (web.proxy_protocol, web.idle_timeout_s, sql.proxy_protocol, sql.idle_timeout_s) == (
        "v2",
        50.0,
        "none",
        120.0,
    )
    shop = topology.pool_of("shop")
    assert shop is not None and shop.probe is not None
    probe = shop.probe
    assert (probe.protocol, probe.path, probe.interval_s, probe.timeout_s) == ("http", "/up", 3.0, 4.0)
    assert (probe.unhealthy_threshold, probe.healthy_threshold) == (2, 4)
    told = " | ".join(found.unknown)
    assert "listens on port 8443 of every address of its host" in told
    assert "server vm-c is shop.example.net, a name" in told
    assert "chooses among shop, api; the first is taken" in told


@pytest.mark.parametrize("fall", ["fall", "fall two", "fall -1", "fall \u00b2", "fall 99999999999"])
def test_a_threshold_that_is_no_number_is_haproxys_own(tmp_path: Path, fall: str) -> None:
    text = (SAMPLES / "haproxy.cfg").read_text()
    path = tmp_path / "haproxy.cfg"
    path.write_text(text.replace("fall 2", fall))
    assert path.read_text() != text
    thresholds = {pool.probe.unhealthy_threshold for pool in read_definitions([str(path)]).topology.pools if pool.probe}
    assert thresholds == {3}


def test_a_split_configuration_is_read_in_the_order_of_its_files(tmp_path: Path) -> None:
    text = (SAMPLES / "haproxy.cfg").read_text()
    cut = text.index("frontend web")
    (tmp_path / "10-global.cfg").write_text(text[:cut])
    (tmp_path / "20-web.cfg").write_text(text[cut:])
    assert read_definitions([str(tmp_path)]).topology.frontends == read("haproxy.cfg").topology.frontends


def test_a_topology_file_wins_and_fills_in(tmp_path: Path) -> None:
    toml = tmp_path / "more.toml"
    toml.write_text("""
[[frontend]]
address = "10.1.0.101"
port = 5432
name = "mine"
pool = "shop"

[[point]]
file = "a.pcap"
node = "vm-a"
[[pool]]
name = "shop"
members = [{ name = "vm-a", address = "10.1.0.4", port = 1 }]
""")
    topology = read_definitions([str(SAMPLES / "haproxy.cfg"), str(toml)]).topology
    assert fronts(topology)["mine"] == ("10.1.0.101", 5432, "shop", "dnat") and "sql:5432" not in fronts(topology)
    assert topology.members_of("shop") == (Member("vm-a", "10.1.0.4", 1),)
    assert [one.file for one in topology.points] == ["a.pcap"]


def test_what_two_topology_files_both_define_is_an_error(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text('[[pool]]\nname = "web"\nmembers = []\n')
    with pytest.raises(TopologyError, match="a second pool"):
        read_definitions([str(tmp_path / name) for name in "ab"])


@pytest.mark.parametrize(("text", "said"), [
    ("", "is empty"),
    ('{"LoadBalancers": [', "not valid JSON"),
    ('[["10.1.0.4", "draining"]]', "values without keys"),
    ("[]", "empty list"),
    ('{"securityRules": []}', "is security rules: give them with --nsg"),
    ("kind: Service\nspec: [", "not valid YAML at line"),
    ("kind: Service\na: &x [1]\nspec: *x\n", "aliases are not read"),
    ("kind: Pod\nspec: {}\n", "is none that is known"),
    ("State Recv-Q\nLISTEN 0\n", "is no topology file and no definition that is known; --topology takes"),
])  # fmt: skip
def test_what_is_damaged_gets_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "given"
    path.write_text(text)
    with pytest.raises(GivenFileError, match=said) as error:
        read_definitions([str(path)])
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["[[frontend]]\nadress = 1\n", "a = nonsense\n", '[[pool]]\nname = "x"\n[['])
def test_the_rest_is_a_topology_file_with_its_own_errors(tmp_path: Path, text: str) -> None:
    path = tmp_path / "given"
    path.write_text(text)
    with pytest.raises(TopologyError):
        read_definitions([str(path)])


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(9))
    path = tmp_path / "bomb.yaml"
    path.write_text(f"kind: List\n{levels}\n")
    with pytest.raises(GivenFileError, match="aliases are not read"):
        read_definitions([str(path)])
