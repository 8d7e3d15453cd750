"""A profile file that is wrong says where, and what was expected."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from flowscope.errors import FlowscopeError
from flowscope.nat.profile_file import load_profile, load_profiles, profile_names

GOOD = """
name = "mine"
title = "My balancer"

[[source]]
key = "page"
page = "wiki: balancer"
date = "2026-01"

[idle]
tcp_s = { value = 60, source = "page" }
then = { value = "silent", source = "page", confirmed = false }

[survives]
ttl = { value = "lowered", source = "page" }

[ports.allocation]
source = "page"
value = [{ members = 4, ports = 100 }, { members = 2, ports = 200 }]

[probe]
policy = "generic"
source = { value = ["192.0.2.0/24"], source = "page" }
"""


def write(folder: Path, text: str) -> str:
    file = folder / "mine.toml"
    file.write_text(text)
    return str(file)


def test_the_folder_is_the_index() -> None:
    listed = {entry.name for entry in files("flowscope.nat").joinpath("profiles").iterdir()}
    assert listed == {f"{name}.toml" for name in profile_names()}
    assert [profile.name for profile in load_profiles()] == list(profile_names())
    for wanted in (
        "azure-lb", "azure-nat-gateway", "aws-nlb", "gcp-passthrough", "ipvs-nat", "ipvs-dr", "nftables", "kube-proxy",
        "haproxy", "generic",
    ):  # fmt: skip
        assert load_profile(wanted).name == wanted


def test_other_names() -> None:
    assert load_profile("iptables") == load_profile("nftables")


def test_reads_a_file(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    mine = load_profile(file)
    assert (mine.name, mine.file) == ("mine", file)
    assert mine.idle.tcp_s is not None and mine.idle.tcp_s.value == 60.0
    assert mine.idle.tcp_s.source.page == "wiki: balancer"
    assert mine.idle.then is not None and not mine.idle.then.confirmed
    assert mine.survives["ttl"].value == "lowered"
    assert mine.ports.ports_per_member(2) == 200
    assert mine.hold.fin_s is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[idle]", "[idel]", "idel: unknown key; did you mean 'idle'?"),
        ("tcp_s =", "tpc_s =", "idle.tpc_s: unknown key; did you mean 'tcp_s'?"),
        ("value = 60", "value = -1", "idle.tcp_s.value: expected a number of seconds above 0"),
        ("value = 60, ", "", "idle.tcp_s.value: expected a value; the key is missing"),
        ("value = 60, source", "value = 60, sources", "idle.tcp_s.sources: unknown key; did you mean 'source'?"),
        ('value = 60, source = "page"', 'value = 60, source = "pgae"', "expected the key of a [[source]] table (page)"),
        ("confirmed = false", 'confirmed = "no"', "idle.then.confirmed: expected true or false"),
        ('"lowered"', '"lower"', "survives.ttl.value: expected 'same' or 'lowered' or 'shifted' or 'new'"),
        ("ttl =", "tll =", "survives.tll: unknown key; did you mean 'ttl'?"),
        ("ports = 100", "ports = 0", "ports.allocation.value[0].ports: expected a whole number from 1"),
        ("192.0.2.0/24", "192.0.2.1/24", "probe.source.value[0]: expected an address or a prefix"),
        ('date = "2026-01"', "", "source[0].date: "),
        ('name = "mine"', "", "name: "),
        ("[idle]", "[idle", "not valid TOML"),
    ],
)
def test_one_error_names_file_and_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    file = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(FlowscopeError) as raised:
        load_profile(file)
    assert str(raised.value).startswith(f"{file}: ")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_neither_name_nor_file(tmp_path: Path) -> None:
    with pytest.raises(FlowscopeError, match="no profile or file 'azure-bl': did you mean 'azure-lb'"):
        load_profile("azure-bl")
    with pytest.raises(FlowscopeError, match="known are aws-nlb"):
        load_profile("???")
    file = tmp_path / "x.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(FlowscopeError, match="not UTF-8"):
        load_profile(str(file))
