"""``flowscope topology`` writes what ``--topology`` takes, and giving it back changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.cli import run
from flowscope.report.topology_toml import topology_lines
from tests.conftest import RunCli
from tests.report.test_json import SCHEMA
from tests.rules.scene import TOPOLOGY, call, probe
from tests.wire import T0, Wire, accept, ignore

pytestmark = pytest.mark.usefixtures("core")
SECOND = 1_000_000_000


def scene(folder: Path) -> list[str]:
    """Clients behind DNAT to two members, probes of both, and a SYN that nobody answered."""
    wire = Wire()
    for at in range(6):
        accept(wire, call(at % 2, 40000 + at), T0 + at * SECOND, isn=1000 * at + 7, answer=9000 * at + 3)
    for at in range(4):
        for member in (0, 1):
            hops = probe(member, 50000 + at)
            accept(wire, hops, T0 + at * 5 * SECOND, isn=77_000 + 2 * at + member, answer=99_000 + 2 * at + member)
    ignore(wire, call(1, 41000), T0 + SECOND, isn=123_456)
    return wire.write(folder)


def shown(analysis: Analysis) -> tuple[list[Any], list[Any]]:
    """Paths and findings, without numbers that depend on their order; a topology is one more reason for a join."""
    text = analysis.addresses["text"].to_list()
    paths = [
        {name: text[value] if name in ("client", "frontend", "snat", "backend") and value is not None else value
         for name, value in row.items() if name not in ("legs", "margin", "reasons")}
        for row in analysis.paths.iter_rows(named=True)
    ]  # fmt: skip
    return paths, [(one.key, one.verdict, one.count, one.paths) for one in analysis.findings]


def test_giving_it_back_changes_nothing(tmp_path: Path) -> None:
    files = scene(tmp_path)
    out = tmp_path / "lb.toml"
    assert run(["topology", *files, "-o", str(out), "-q"]) == 0
    inferred, given = analyze(files), analyze(files, topology=str(out))
    assert shown(given) == shown(inferred)
    assert given.problems == inferred.problems == []
    assert topology_lines(given) == topology_lines(inferred)
    (pool,) = given.topology.pools
    assert [member.address for member in pool.members] == ["10.1.0.4", "10.1.0.5"]
    assert pool.probe is not None and pool.probe.interval_s == 5.0


@pytest.mark.parametrize("case", ["hairpin", "closed-port", "blocked-in-member"])
def test_samples(samples: Path, tmp_path: Path, case: str) -> None:
    out = tmp_path / "lb.toml"
    assert run(["topology", str(samples / case), "-o", str(out), "-q"]) == 0
    inferred, given = analyze([str(samples / case)]), analyze([str(samples / case)], topology=str(out))
    assert shown(given) == shown(inferred)
    told = analyze([str(samples / case)], topology=str(samples / case / "topology.toml"))
    assert told.problems == []
    ends = [{(one.address, one.port, one.mode) for one in run_.topology.frontends} for run_ in (given, told)]
    assert ends[0] == ends[1]
    members = [{(m.address, m.port) for pool in run_.topology.pools for m in pool.members} for run_ in (given, told)]
    assert members[0] == members[1]


def test_the_given_wins_and_is_completed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = scene(tmp_path)
    mine = tmp_path / "mine.toml"
    mine.write_text(TOPOLOGY)
    assert run(["topology", *files, "--topology", str(mine)]) == 0
    text = capsys.readouterr().out
    assert 'name = "shop"' in text and 'name = "vm-a"' in text
    assert 'source = ["168.63.129.16"]' in text
    assert 'node = "vm-a"' in text


def test_json(run_cli: RunCli, tmp_path: Path) -> None:
    document = json.loads(run_cli("topology", *scene(tmp_path), "--format", "json").stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["topology"]["frontend"][0]["port"] == 443


def test_a_contradiction_is_a_problem_of_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = scene(tmp_path)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(TOPOLOGY.replace("10.1.0.5", "10.1.0.6"))
    assert run(["analyze", *files, "--topology", str(wrong), "--format", "json"]) == 0
    shown = capsys.readouterr()
    sentence = (
        "Frontend shop (203.0.113.9:443) went on to 10.1.0.5:9443 in 4 paths, which is no member of its pool shop."
    )
    assert json.loads(shown.out)["problems"] == [sentence]
    assert sentence in shown.err


@pytest.mark.parametrize("command", ["analyze", "topology", "flows"])
def test_a_profile_is_checked_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    files = scene(tmp_path)
    assert run([command, *files, "--profile", "azure-bl"]) == 2
    assert "did you mean 'azure-lb'?" in capsys.readouterr().err
    assert run([command, *files, "--profile", "iptables"]) == 0
    assert capsys.readouterr().err == ""


def test_a_profile_stands_in_the_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = scene(tmp_path)
    run(["analyze", *files, "--profile", "azure-lb"])
    assert "profile azure-lb: Azure Load Balancer" in capsys.readouterr().out
    run(["analyze", *files, "--profile", "azure-lb", "--format", "json", "--brief"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA)
    assert document["profile"] == {"name": "azure-lb", "source": "flowscope"}
