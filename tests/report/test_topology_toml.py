"""The topology that is written is the one that is read back, whatever names it holds."""

from __future__ import annotations

import io
import ipaddress
import tomllib
from pathlib import Path
from typing import Any

import pytest

from flowscope.nat.inferred import Guess, Inferred
from flowscope.nat.topology import Frontend, Member, PointHint, Pool, Probe, Snat, Topology
from flowscope.nat.topology_file import parse_topology
from flowscope.report.look import Look
from flowscope.report.topology_toml import quoted, render
from tests.traffic import analysis

FULL = Topology(
    "lb.toml",
    (
        Frontend("web", "10.0.0.100", 80, "tcp", "web", "dnat+snat", 240.0, "none"),
        Frontend("dns", "2001:db8::9", 53, "udp", None, "dsr"),
        Frontend("px", "10.0.0.100", 81, "tcp", "web", "proxy", None, "v2"),
    ),
    (
        Pool(
            "web",
            (Member("vm1", "10.0.0.4", 8080), Member("10.0.0.5", "10.0.0.5", 8080, False)),
            Probe(
                (ipaddress.ip_network("168.63.129.16/32"), ipaddress.ip_network("10.1.0.0/16")),
                "https", 8081, "/up?a=\"b\"", 0.5, 1.5, "front-door", 2, 3, 4, 2,
            ),
        ),
        Pool("empty", ()),
    ),
    (
        Snat("20.1.1.1", (2000, 3000), 64, ("vm1",), (ipaddress.ip_network("10.0.0.0/24"),), 240.0, 15.0),
        Snat("20.1.1.2"),
    ),
    (PointHint("x/vm1.pcap", "vm1", "vm1", "eth0"), PointHint("a b.pcap")),
)  # fmt: skip


def written(known: Any) -> str:
    out = io.BytesIO()
    render(known, out, Look())
    return out.getvalue().decode()


def test_every_key_comes_back() -> None:
    text = written(analysis(topology=FULL))
    assert parse_topology(tomllib.loads(text), "lb.toml") == FULL


@pytest.mark.parametrize(
    "name",
    ['a"b', "a\\b", "x\n[[pool]]", "\x1b[2J", "\x7f\x85", "\u202eevil", "tab\tcr\r", "ü€", "\U0001f600", "# no"],
)
def test_no_name_breaks_out_of_its_quotes(name: str) -> None:
    known = Topology(name, pools=(Pool(name, (Member(name, "10.0.0.4", 1),)),), points=(PointHint(name, name),))
    text = written(analysis(topology=known, inferred=Inferred(known, {("probe", name): name}, {}, (name,))))
    assert parse_topology(tomllib.loads(text), name) == known
    assert tomllib.loads(f"a = {quoted(name)}")["a"] == name
    assert not {"\x1b", "\u202e", "\x85", "\x7f"} & set(text)


def test_reasons_and_guesses_are_comments() -> None:
    found = Topology(
        None, (Frontend("10.0.0.9:80", "10.0.0.9", 80, pool="p"),), (Pool("p", (Member("m", "10.0.0.4", 8080),)),)
    )
    reasons = {("frontend", "10.0.0.9:80"): "Seen.", ("member", "p 10.0.0.4:8080"): "Called."}
    guesses = {("frontend", "10.0.0.9:80"): (Guess("idle_timeout_s", 240.0, "as documented"), Guess("port", "1", "no"))}
    assert written(analysis(inferred=Inferred(found, reasons, guesses, ("A remark.",)))).split("\n\n")[1:] == [
        "# A remark.",
        "# Seen.\n[[frontend]]\n"
        'name = "10.0.0.9:80"\naddress = "10.0.0.9"\nport = 80\nprotocol = "tcp"\npool = "p"\nmode = "dnat"\n'
        "# idle_timeout_s = 240  # as documented",
        '[[pool]]\nname = "p"\nmembers = [\n    { name = "m", address = "10.0.0.4", port = 8080 },  # Called.\n]\n',
    ]


def test_nothing_seen_is_said(tmp_path: Path) -> None:
    text = written(analysis())
    assert tomllib.loads(text) == {}
    assert "No translated connection was seen" in text


def test_the_head_says_where_it_comes_from() -> None:
    first = written(analysis(topology=Topology("lb.toml"))).splitlines()[0]
    assert first == "# What flowscope 0.1.0 read from 1 capture and from lb.toml."
