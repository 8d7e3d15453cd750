"""Lines of the kernel's table, as its tools print them."""

from __future__ import annotations

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


def test_joins_are_confirmed_and_contradicted() -> None:
    (one,) = parse(PROC)
    wrong = (6, ("203.0.113.9", 40001), ("10.0.0.5", 8080))
    unknown = (6, ("203.0.113.9", 40002), ("203.0.113.80", 80))
    after = {one.before: {one.after}}
    assert contradicted(after, [(one.before, one.after), (unknown, wrong)]) == (1, [])
    assert contradicted(after, [(one.before, wrong)]) == (0, [(one.before, wrong, one.after)])


@given(st.text())
def test_other_text_is_left(text: str) -> None:
    assert all(one.before[0] in (6, 17) for one in parse(text))
