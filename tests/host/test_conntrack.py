"""Lines of the kernel's table, as its tools print them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowscope.host.conntrack import contradicted, parse

PROC = (
    "ipv4     2 tcp      6 431999 ESTABLISHED src=203.0.113.9 dst=203.0.113.80 sport=40001 dport=80 "
    "src=10.0.0.4 dst=203.0.113.9 sport=8080 dport=40001 [ASSURED] mark=0 zone=0 use=2"
)
EVENT = (
    "    [NEW] tcp      6 120 SYN_SENT src=10.0.0.5 dst=198.51.100.7 sport=50000 dport=443 [UNREPLIED] "
    "src=198.51.100.7 dst=20.1.1.1 sport=443 dport=1024"
)
SIX = (
    "tcp      6 60 SYN_RECV src=2001:db8::9 dst=2001:db8::80 sport=1 dport=80 "
    "src=2001:db8::4 dst=2001:db8::9 sport=8080 dport=1 mark=0 use=1"
)
ICMP = "icmp     1 29 src=10.0.0.5 dst=10.0.0.1 type=8 code=0 id=7 src=10.0.0.1 dst=10.0.0.5 type=0 code=0 id=7"


def test_every_form_is_read() -> None:
    table = parse("\n".join([PROC, EVENT, SIX, ICMP, "conntrack v1.4.7: 3 flow entries have been shown."]))
    assert [one.after for one in table] == [
        (6, ("203.0.113.9", 40001), ("10.0.0.4", 8080)),
        (6, ("20.1.1.1", 1024), ("198.51.100.7", 443)),
        (6, ("2001:db8::9", 1), ("2001:db8::4", 8080)),
    ]
    assert all(one.translated for one in table)


def test_a_router_s_table_is_read_whole() -> None:
    tables = list((Path(os.environ.get("FLOWSCOPE_TRUTH", "none")).parent / "samples" / "conntrack").glob("*.txt"))
    if not tables:
        pytest.skip("no samples/ beside FLOWSCOPE_TRUTH")
    for path in tables:
        lines = [line.split() for line in path.read_text().splitlines()]
        table = parse(path.read_text())
        assert [one.before[0] for one in table] == [
            {"tcp": 6, "udp": 17}[line[2]] for line in lines if line[2] != "icmp"
        ]
        # The answer of what a router translates goes to another address than the question came from.
        answers = [[word for word in line if word.startswith("dst=")][1] for line in lines if line[2] != "icmp"]
        asked = [next(word for word in line if word.startswith("src=")) for line in lines if line[2] != "icmp"]
        moved = [answer[4:] != question[4:] for answer, question in zip(answers, asked, strict=True)]
        assert [one.before[1][0] != one.after[1][0] for one in table] == moved and any(moved)


def test_joins_are_confirmed_and_contradicted() -> None:
    (one,) = parse(PROC)
    wrong = (6, ("203.0.113.9", 40001), ("10.0.0.5", 8080))
    unknown = (6, ("203.0.113.9", 40002), ("203.0.113.80", 80))
    after = {one.before: {one.after}}
    assert contradicted(after, [(one.before, [one.after]), (unknown, [wrong])]) == (1, [])
    assert contradicted(after, [(one.before, [wrong])]) == (0, [(one.before, wrong, one.after)])


@given(st.text())
def test_other_text_is_left(text: str) -> None:
    assert all(one.before[0] in (6, 17) for one in parse(text))
