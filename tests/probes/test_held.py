"""Probes to the address that all members hold belong to the member on which they arrive."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import Analysis
from flowscope.findings import Verdict
from tests.probes.shared_address import DIRECT, WELL, asked, direct_clients
from tests.rules.scene import TOPOLOGY, judged

pytestmark = pytest.mark.usefixtures("core")
FRONTEND_TEXT = "203.0.113.9"


def counts(analysis: Analysis) -> list[tuple[str, int, int]]:
    text = analysis.addresses["text"]
    return [(str(text[one.series.member]), one.sent, one.succeeded) for one in analysis.health]


@pytest.mark.parametrize("topology", [TOPOLOGY, DIRECT])
@pytest.mark.parametrize(
    ("met", "rule", "how"),
    [("503", "probe-failing", "status"), ("refuse", "probe-failing", "refused"), ("ignore", "probe-blocked", "silent")],
)
def test_the_member_that_fails_is_named(tmp_path: Path, topology: str, met: str, rule: str, how: str) -> None:
    analysis = judged(asked(WELL, "200 " * 3 + f"{met} " * 6 + "200 " * 5), tmp_path, topology)
    assert counts(analysis) == [("10.1.0.4", 14, 14), ("10.1.0.5", 14, 8)]
    (found,) = analysis.findings
    assert (found.rule, found.facts["how"]) == (rule, how)
    assert found.subject == {"member": "10.1.0.5:443"}
    assert f"sent to {FRONTEND_TEXT}" in found.summary


def test_what_got_lost_before_a_member_is_the_members_whose_turn_it_was(tmp_path: Path) -> None:
    analysis = judged(asked(WELL, "200 " * 3 + "ignore " * 6 + "200 " * 5, at="back host"), tmp_path, DIRECT)
    (found,) = analysis.findings
    assert (found.rule, found.facts["where"]) == ("probe-blocked", "before-member")
    assert (found.subject, found.count) == ({"member": "10.1.0.5:443"}, 6)
    assert found.verdict is Verdict.CONFIRMED, "its point saw the others"


def test_two_frontends_of_one_pool_are_probed_apart(tmp_path: Path) -> None:
    second = '[[frontend]]\nname = "more"\naddress = "203.0.113.10"\nport = 443\npool = "shop"\nmode = "dsr"\n\n'
    wire = asked(WELL, WELL)
    asked(WELL, "503 " * 14, dst=("203.0.113.10", 443), later_ns=500_000_000, wire=wire)
    analysis = judged(wire, tmp_path, DIRECT.replace("[[pool]]", second + "[[pool]]", 1))
    assert sorted(counts(analysis)) == [("10.1.0.4", 14, 14)] * 2 + [("10.1.0.5", 14, 0), ("10.1.0.5", 14, 14)]
    (found,) = analysis.findings
    assert "They are sent to 203.0.113.10" in found.summary
    assert "to 203.0.113.9 were good" in found.summary


def test_new_connections_in_the_frontends_name_show_who_is_out(tmp_path: Path) -> None:
    wire = asked(WELL, "200 " * 3 + "503 " * 6 + "200 " * 5)
    direct_clients(wire, [0 if 21 < at < 52 else at % 2 for at in range(70)])
    (found,) = [one for one in judged(wire, tmp_path, DIRECT).findings if one.rule == "member-out-of-rotation"]
    assert (found.subject, found.verdict) == ({"member": "10.1.0.5:443"}, Verdict.CONFIRMED)
    assert found.facts["new_flows"] == 0


def test_all_of_them_fail_and_clients_are_served_by_all(tmp_path: Path) -> None:
    wire = asked(*["200 " * 3 + "503 " * 6 + "200 " * 5] * 2)
    direct_clients(wire, [at % 2 for at in range(70)])
    (found,) = [one for one in judged(wire, tmp_path, DIRECT).findings if one.rule == "all-members-down"]
    assert (found.facts["then"], found.verdict) == ("fail-open", Verdict.CONFIRMED)


def test_clients_that_poll_the_frontend_are_no_probers(tmp_path: Path) -> None:
    wire = asked(WELL, WELL)
    asked(WELL, WELL, source="198.51.100.9", later_ns=500_000_000, wire=wire)
    assert counts(judged(wire, tmp_path, DIRECT)) == [("10.1.0.4", 14, 14), ("10.1.0.5", 14, 14)]
