"""Hosts with one address are told apart by where their probes arrive; two ways to one host are not taken for two."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.probes.asking import SECOND, ask
from tests.probes.shared_address import GOOGLE, WELL, asked
from tests.rules.scene import MEMBERS, judged
from tests.wire import T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
FAILING = "200 " * 3 + "503 " * 6 + "200 " * 5


def succeeded(wire: Wire, folder: Path) -> list[tuple[int, int]]:
    return sorted((one.sent, one.succeeded) for one in judged(wire, folder, None).health)


@pytest.mark.parametrize("at", ["host", "back host"])
def test_each_host_has_its_own_probes(tmp_path: Path, at: str) -> None:
    analysis = judged(asked(WELL, FAILING, at=at), tmp_path, None)
    assert sorted((one.sent, one.succeeded) for one in analysis.health) == [(14, 8), (14, 14)]
    (found,) = analysis.findings
    assert found.subject == {"member": "203.0.113.9:443", "point": "b"}
    assert found.verdict is Verdict.LIKELY, "two ways to one host look the same but for the pace"


@pytest.mark.parametrize("gone", ["a", "b"])
def test_one_host_and_a_point_before_both(tmp_path: Path, gone: str) -> None:
    wire = asked(WELL, FAILING, at="back host")
    del wire.frames[gone]
    assert succeeded(wire, tmp_path) == [(14, 8), (14, 14)]


def test_on_the_hosts_themselves_a_few_are_enough(tmp_path: Path) -> None:
    (found,) = judged(asked("200 " * 4, "503 " * 4, cooked=True), tmp_path, None).findings
    assert (found.subject["point"], found.verdict) == ("b", Verdict.CONFIRMED)


def test_a_hosts_own_address_names_it(tmp_path: Path) -> None:
    wire = asked(WELL, FAILING)
    for member, point in enumerate("ab"):
        for number in range(3):
            src = f"10.9.9.{number}", 3000 + number
            accept(wire, [Hop(point, src, MEMBERS[member], 62)], T0 + number * SECOND, isn=500 * number + member)
    (found,) = [one for one in judged(wire, tmp_path, None).findings if one.rule == "probe-failing"]
    assert found.subject == {"member": "10.1.0.5:443"}


def test_two_ways_to_one_host_are_one_host(tmp_path: Path) -> None:
    wire, rng = Wire(), random.Random(5)
    for number in range(30):
        hop = Hop(rng.choice("ab"), (GOOGLE, 40_000 + number), MEMBERS[0])
        ask(wire, [hop], T0 + number * SECOND, "503" if 10 < number < 17 else "200", 1000 * number + 5)
    assert succeeded(wire, tmp_path) == [(30, 24)]


def test_a_capture_after_the_other_may_be_of_the_same_host(tmp_path: Path) -> None:
    assert succeeded(asked(WELL, "- " * 14 + FAILING), tmp_path) == [(28, 22)]


def test_clients_of_the_other_host_do_not_speak_for_this_one(tmp_path: Path) -> None:
    wire = asked(WELL, FAILING)
    for number in range(20):
        hop = Hop("a", ("198.51.100.7", 31_000 + number), ("203.0.113.9", 443), 62)
        accept(wire, [hop], T0 + number * SECOND // 2, isn=900_000 + 1000 * number)
    (found,) = [one for one in judged(wire, tmp_path, None).findings if one.rule == "probe-failing"]
    assert "served" not in found.summary
