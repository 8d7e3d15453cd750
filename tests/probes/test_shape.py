"""A prober that says nothing of itself is told by what it does; whoever only polls at an even pace is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import Analysis
from flowscope.findings import Severity, Verdict
from tests.probes.asking import SECOND, ask, clients, known, rounds
from tests.rules.scene import CLIENTS, MEMBERS, TOPOLOGY, judged
from tests.wire import MS, T0, Hop, Wire

pytestmark = pytest.mark.usefixtures("core")
UNKNOWN = "10.1.0.200"
CHECKS = 9999


def round_of(
    wire: Wire,
    *scripts: str,
    source: str = UNKNOWN,
    port: int = CHECKS,
    every_ns: int = SECOND,
    jitter: tuple[int, ...] = (0,),
    at: str = "back host",
    isn: int = 0,
) -> None:
    """Calls of each member in turn, by scripts of words."""
    for member, script in enumerate(scripts):
        for number, met in enumerate(script.split()):
            ends = (source, 20_000 + 100 * member + number), (MEMBERS[member][0], port)
            hops = [Hop("back", *ends, 64, 10_000), Hop("ab"[member], *ends, 64, 40_000)]
            when = T0 + number * every_ns + member * 300 * MS + jitter[number % len(jitter)] * MS
            if met != "-":
                ask(wire, hops[0 if "back" in at else 1 :], when, met, isn + 10_000 * number + 100 * member + 7)


def probers(analysis: Analysis) -> set[tuple[str, str]]:
    text = analysis.addresses["text"]
    return {(text[one.series.source], one.series.by) for one in analysis.health}


@pytest.mark.parametrize("jitter", [(0,), (0, 90, -120, 60, -40)])
def test_one_that_asks_all_members_evenly(tmp_path: Path, jitter: tuple[int, ...]) -> None:
    wire = Wire()
    round_of(wire, "tcp " * 9, "tcp tcp tcp refuse refuse refuse refuse tcp tcp", jitter=jitter)
    clients(wire, [0, 1] * 20)
    analysis = judged(wire, tmp_path, None)
    assert probers(analysis) == {(UNKNOWN, "shape")}
    (found,) = [one for one in analysis.findings if one.rule.startswith("probe-")]
    assert (found.rule, found.severity, found.verdict) == ("probe-failing", Severity.WARNING, Verdict.LIKELY)
    assert any("a monitor polls in the same way" in caveat for caveat in found.caveats)
    assert not [one for one in analysis.findings if one.rule == "closed-port"]


def test_what_the_topology_says_is_probed_makes_it_sure(tmp_path: Path) -> None:
    wire = Wire()
    round_of(wire, "tcp " * 9, "tcp tcp tcp refuse refuse refuse refuse tcp tcp")
    clients(wire, [0, 1] * 20)
    given = known().replace('source = ["168.63.129.16"]\n', "").replace('"http"', '"tcp"')
    analysis = judged(wire, tmp_path, given)
    assert probers(analysis) == {(UNKNOWN, "source")}
    (found,) = [one for one in analysis.findings if one.rule == "probe-failing"]
    assert found.severity is Severity.ERROR


def test_on_the_data_port_when_calls_of_clients_were_seen_on_both_sides(tmp_path: Path) -> None:
    wire = Wire()
    round_of(wire, "tcp " * 9, "tcp " * 9, port=MEMBERS[0][1])
    clients(wire, [0, 1] * 20)
    assert probers(judged(wire, tmp_path, None)) == {(UNKNOWN, "shape")}


@pytest.mark.parametrize(
    ("why", "polls"),
    [
        ("too few to tell a pace", {"scripts": ("tcp " * 4, "tcp " * 4)}),
        ("one server only", {"scripts": ("tcp " * 9, "")}),
        ("no pace", {"scripts": ("tcp " * 9, "tcp " * 9), "jitter": (0, 420, -200, 650, 100)}),
        ("it calls the frontend, too", {"scripts": ("tcp " * 9, "tcp " * 9), "source": CLIENTS[0]}),
        ("it is a member itself", {"scripts": ("", "tcp " * 9), "source": MEMBERS[0][0]}),
    ],
)
def test_spares_who_only_polls(tmp_path: Path, why: str, polls: dict[str, object]) -> None:
    wire = Wire()
    scripts = polls.pop("scripts")
    round_of(wire, *scripts, **polls)  # type: ignore[misc, arg-type]
    clients(wire, [0, 1] * 20)
    assert not probers(judged(wire, tmp_path, None)), why


def test_spares_a_monitor_that_polls_others_as_well(tmp_path: Path) -> None:
    wire = Wire()
    round_of(wire, "tcp " * 9, "tcp " * 9)
    ask(wire, [Hop("back", (UNKNOWN, 999), ("10.1.0.77", CHECKS), 64)], T0, "tcp", 5)
    clients(wire, [0, 1] * 20)
    assert not probers(judged(wire, tmp_path, None))


def test_spares_a_client_that_polls_servers_without_a_balancer(tmp_path: Path) -> None:
    wire = Wire()
    round_of(wire, "200 " * 9, "200 " * 9)
    assert not probers(judged(wire, tmp_path, None))


def test_spares_a_clients_even_calls_that_a_balancer_hands_to_its_members_in_turn(tmp_path: Path) -> None:
    wire = Wire()
    # Captured behind the balancer only, so that they look as if the members had been called.
    round_of(wire, "200 " * 9, "200 " * 9, source="198.51.100.99", port=MEMBERS[0][1], every_ns=2 * SECOND)
    assert not probers(judged(wire, tmp_path, TOPOLOGY))


def test_spares_who_polls_members_whose_prober_is_known(tmp_path: Path) -> None:
    wire = Wire()
    round_of(wire, "tcp " * 9, "tcp " * 9, port=9100, isn=500)
    rounds(wire, ["200"] * 9, ["200"] * 9)
    clients(wire, [0, 1] * 20)
    assert probers(judged(wire, tmp_path, None)) == {("168.63.129.16", "source")}


def test_spares_who_polls_members_whose_prober_the_topology_names(tmp_path: Path) -> None:
    wire = Wire()
    round_of(wire, "tcp " * 9, "tcp " * 9, port=9100)
    clients(wire, [0, 1] * 20)
    assert not probers(judged(wire, tmp_path, known()))
