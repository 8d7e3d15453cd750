"""uneven-pool: shares that chance does not give; random spread, few connections and late members are none."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from flowscope.findings import Verdict
from flowscope.probes.compare import Group, groups
from flowscope.rules import uneven_pool
from flowscope.rules.uneven_pool import tail
from flowscope.window import Window
from tests.probes.asking import ask, known
from tests.rules.scene import call, findings, probe
from tests.wire import MS, T0, Wire, accept

pytestmark = pytest.mark.usefixtures("core")
RULE = "uneven-pool"


def spread(shares: list[int], clients: int = 60) -> Wire:
    """One connection per entry, to that member."""
    wire = Wire()
    for at, member in enumerate(shares):
        client = f"198.51.100.{at % clients + 1}"
        accept(wire, call(member, 40000 + at, client, "front host"), T0 + at * 20 * MS, isn=9_000 * at + 3)
    return wire


LOPSIDED = [0, 0, 0, 0, 1] * 24


@pytest.mark.parametrize("topology", [True, False])
def test_flags_shares_that_chance_does_not_give(tmp_path: Path, topology: bool) -> None:
    (found,) = findings(spread(LOPSIDED), tmp_path, RULE, *([] if topology else [None]))
    assert (found.verdict, found.count) == (Verdict.LIKELY, 120)
    assert found.subject["pool"] == ("shop" if topology else "203.0.113.9:443")


def test_spares_random_spread(tmp_path: Path) -> None:
    dice = random.Random(7)
    assert findings(spread([dice.randrange(2) for _ in range(120)]), tmp_path, RULE) == []


def test_spares_few_connections(tmp_path: Path) -> None:
    assert findings(spread([0, 0, 0, 0, 0, 0, 0, 0, 0, 1] * 3), tmp_path, RULE) == []


def test_spares_a_member_that_joined_late(tmp_path: Path) -> None:
    assert findings(spread([0] * 100 + [0, 1] * 25), tmp_path, RULE) == []


def flapping(wire: Wire, fails: bool) -> None:
    """Probes of both members each second; every second one of the first member's may fail."""
    for at in range(30):
        for member in (0, 1):
            met = "503" if fails and member == 0 and at % 2 else "200"
            ask(
                wire,
                probe(member, 50000 + 2 * at + member),
                T0 + (at * 1000 + member * 300) * MS,
                met,
                5000 * at + member,
            )


@pytest.mark.parametrize("topology", [known(), None])
@pytest.mark.parametrize("fails", [True, False])
def test_spares_a_member_that_its_probes_take_out_again_and_again(
    tmp_path: Path, topology: str | None, fails: bool
) -> None:
    """It is short of connections, but not by the balancer's dice."""
    wire = spread([1 if at // 50 % 2 and at % 5 else at % 5 == 0 for at in range(1400)])
    flapping(wire, fails=fails)
    assert len(findings(wire, tmp_path, RULE, topology)) == (not fails)


def test_tells_of_a_healthy_member_that_nobody_is_sent_to(tmp_path: Path) -> None:
    wire = spread([0] * 200)
    flapping(wire, fails=False)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert found.verdict is Verdict.LIKELY
    # Those before its first probe was answered are not counted.
    assert 180 < found.count < 200 and ", vm-b 0;" in found.summary
    assert any(caveat.startswith("vm-b got none") for caveat in found.caveats)
    # Who is not known to be of the pool, or whose health nobody saw, is nobody's neglected member.
    assert findings(wire, tmp_path, RULE, None) == []
    assert findings(spread([0] * 200), tmp_path, RULE, known()) == []


def test_spares_a_member_that_came_up_late_and_has_had_no_share_yet(tmp_path: Path) -> None:
    wire = spread([0] * 200)
    for at in range(3):
        ask(wire, probe(0, 50000 + at), T0 + at * 1000 * MS, "200", 5000 * at)
        ask(wire, probe(1, 51000 + at), T0 + (3800 + at * 100) * MS, "200", 5000 * at + 1)
    assert findings(wire, tmp_path, RULE, known()) == []


def test_doubts_few_clients_that_each_keep_to_one_member(tmp_path: Path) -> None:
    (found,) = findings(spread(LOPSIDED, clients=5), tmp_path, RULE)
    assert found.verdict is Verdict.UNDECIDED


def test_flags_few_clients_that_are_spread_themselves(tmp_path: Path) -> None:
    (found,) = findings(spread(LOPSIDED, clients=3), tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY


@pytest.mark.parametrize(("value", "freedom", "chance"), [(3.84, 1, 0.05), (5.99, 2, 0.05), (10.83, 1, 1e-3)])
def test_the_tail_agrees_with_the_tables(value: float, freedom: int, chance: float) -> None:
    assert tail(value, freedom) == pytest.approx(chance, rel=0.5)


def test_pools_are_put_together_once_however_many_frontends_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counted(window: Window) -> list[Group]:
        asked.append(window)
        return groups(window)

    monkeypatch.setattr(uneven_pool, "groups", counted)
    wire = Wire()
    for at in range(6):
        front, back = call(0, 40000 + at, "198.51.100.7", "front host")
        called = replace(front, dst=(f"203.0.113.{30 + at}", 443))
        accept(wire, [called, back], T0 + at * 20 * MS, isn=9_000 * at + 3)
    findings(wire, tmp_path, RULE, None)
    assert len(asked) == 1
