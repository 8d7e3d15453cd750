"""A topology file that is wrong says where, and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.errors import TopologyError
from flowscope.nat.topology_file import read_topology

GOOD = """
[[frontend]]
name = "web"
address = "10.0.0.100"
port = 80
pool = "web"
mode = "dnat+snat"
idle_timeout_s = 240

[[pool]]
name = "web"
members = [ { name = "vm1", address = "10.0.0.4", port = 8080 }, { name = "vm2", address = "10.0.0.5", port = 8080 } ]
[pool.probe]
source = ["168.63.129.16", "10.1.0.0/16"]
protocol = "http"
policy = "front-door"
sample_size = 4
successful_samples = 2

[[snat]]
address = "20.1.1.1"
ports = "1024-65535"
inside = ["10.0.0.0/24"]

[[point]]
file = "vm1.pcap"
name = "vm1"
node = "vm1"
interface = "eth0"
"""


def write(folder: Path, text: str) -> str:
    file = folder / "lb.toml"
    file.write_text(text)
    return str(file)


def test_reads_every_table(tmp_path: Path) -> None:
    topology = read_topology(write(tmp_path, GOOD))
    assert topology.frontends[0].mode == "dnat+snat"
    assert topology.frontends[0].idle_timeout_s == 240.0
    assert [member.name for member in topology.pools[0].members] == ["vm1", "vm2"]
    assert topology.pools[0].probe.sample_size == 4
    assert topology.snats[0].ports == (1024, 65535)
    assert topology.points[0].node == "vm1"


def test_an_empty_file_is_an_empty_topology(tmp_path: Path) -> None:
    assert not read_topology(write(tmp_path, ""))


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        ("[[frontend]]", "[[fronted]]", "fronted", "did you mean 'frontend'?"),
        ("mode =", "moed =", "frontend[0].moed", "did you mean 'mode'?"),
        ("interface =", "iface =", "point[0].iface", "known here: file, name, node, interface"),
        ('address = "10.0.0.100"', 'address = "10.0.0.300"', "frontend[0].address", "not '10.0.0.300'"),
        ('address = "10.0.0.5"', 'address = "vm2.local"', "pool[0].members[1].address", "expected an address"),
        ('address = "10.0.0.4"', 'address = "fe80::1%eth0"', "pool[0].members[0].address", "expected an address"),
        ("port = 80\n", "port = 0\n", "frontend[0].port", "expected a port (1 to 65535), not 0"),
        ("port = 80\n", 'port = "80"\n', "frontend[0].port", "not '80'"),
        ("port = 80\n", "port = true\n", "frontend[0].port", "not True"),
        ("port = 80\n", "", "frontend[0].port", "the key is missing"),
        ('pool = "web"', 'pool = "wbe"', "frontend[0].pool", "no pool 'wbe' is defined; defined are: 'web'"),
        ('mode = "dnat+snat"', 'mode = "nat"', "frontend[0].mode", "'dnat' or 'dnat+snat' or 'dsr' or 'proxy'"),
        ("idle_timeout_s = 240", "idle_timeout_s = -1", "frontend[0].idle_timeout_s", "seconds above 0"),
        ("idle_timeout_s = 240", "idle_timeout_s = nan", "frontend[0].idle_timeout_s", "seconds above 0"),
        ('"1024-65535"', '"1024-65535"\nfin_hold_s = -1', "snat[0].fin_hold_s", "seconds from 0"),
        ('"10.1.0.0/16"', '"10.1.0.1/16"', "pool[0].probe.source[1]", "host bits"),
        ('"1024-65535"', '"65535-1024"', "snat[0].ports", "a range of ports"),
        ("sample_size = 4", "sample_size = 0", "pool[0].probe.sample_size", "a whole number from 1"),
        (
            "successful_samples = 2",
            "successful_samples = 5",
            "pool[0].probe.successful_samples",
            "up to sample_size (4)",
        ),
        ('inside = ["10.0.0.0/24"]', 'members = ["vm9"]', "snat[0].members[0]", "no member 'vm9' is defined"),
        ('name = "vm2", address', 'name = "vm1", address', "pool[0].members[1].name", "already names 10.0.0.4"),
        ('"10.0.0.5"', '"10.0.0.4"', "pool[0].members[1]", "a second member"),
        ('file = "vm1.pcap"\n', "", "point[0].file", "the key is missing"),
        ("[pool.probe]", "[[pool.probe]]", "pool[0].probe", "expected a table"),
        ("[[snat]]", "[snat]", "snat", "expected an array of tables ([[snat]])"),
    ],
)
def test_one_error_names_file_key_and_what_was_expected(
    tmp_path: Path, old: str, new: str, key: str, expected: str
) -> None:
    assert old in GOOD
    file = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(TopologyError) as raised:
        read_topology(file)
    assert raised.value.file == file
    assert raised.value.key == key
    assert expected in raised.value.expected
    assert "\n" not in str(raised.value)


def test_defined_twice(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"pool\[1\].name: a second pool; the first is pool\[0\].name"):
        read_topology(write(tmp_path, GOOD + '[[pool]]\nname = "web"\n'))


@pytest.mark.parametrize("content", [b"[[frontend", b"\xff\xfe\x00", b"a = 1\na = 2\n", b"a=" + b"[" * 100_000])
def test_what_is_no_toml(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "lb.toml"
    file.write_bytes(content)
    with pytest.raises(TopologyError) as raised:
        read_topology(file)
    assert "TOML" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="No such file"):
        read_topology(tmp_path / "none.toml")
    with pytest.raises(TopologyError, match="cannot be read"):
        read_topology(tmp_path)


def test_a_slip_in_a_required_key_is_named_as_the_slip(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text('[[frontend]]\naddres = "10.0.0.100"\nport = 80\n')
    with pytest.raises(TopologyError, match=r"frontend\[0\]\.addres: unknown key; did you mean 'address'"):
        read_topology(file)


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ('[[pool]]\nnam = "x"\n', "pool[0].nam", "name"),
        ('[[frontend]]\nnam = "x"\n', "frontend[0].nam", "name"),
        ('[[frontend]]\naddress = "10.0.0.100"\nprotocl = "tcp"\n', "frontend[0].protocl", "protocol"),
        ('[[pool]]\nname = "x"\nmembers = [{ enable = true }]\n', "pool[0].members[0].enable", "enabled"),
        ("[[pool]]\n[pool.prob]\nport = 0\n", "pool[0].prob", "probe"),
        ('[[snat]]\nport = "1-2"\n', "snat[0].port", "ports"),
        ('[[point]]\nnod = "lb"\n', "point[0].nod", "node"),
        ('frontends = 1\n[[point]]\nname = "x"\n', "frontends", "frontend"),
    ],
)
def test_an_unknown_key_is_named_before_a_missing_one(tmp_path: Path, text: str, key: str, meant: str) -> None:
    with pytest.raises(TopologyError) as raised:
        read_topology(write(tmp_path, text))
    assert raised.value.key == key
    assert f"unknown key; did you mean {meant!r}?" in raised.value.expected
