"""The evidence of a finding, analysed with the same topology, gives the same finding."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.capture.spool import Spool
from flowscope.evidence import choice
from flowscope.evidence.choice import MOST_FRAMES
from flowscope.evidence.files import write_findings
from flowscope.findings import Severity, Verdict
from flowscope.rules import RULES
from flowscope.settings import Settings
from tests.evidence.captures import CAPTURES, FOLDERS, evidence, files, subject

pytestmark = pytest.mark.usefixtures("core")

#: Rules whose verdict rests on how much was seen, so that a part of it may say less.
MAY_WEAKEN = {"path-loss", "uneven-pool", "capture-loss", "clock-offset", "snat-pressure"}


def proves_itself(folder: Path, blind: bool) -> None:
    analysis, topology, files = evidence(folder, blind)
    for finding in analysis.findings:
        again = analyze([files[finding.id]], topology=topology)
        assert sum(capture.frames for capture in again.captures) <= MOST_FRAMES
        same = [
            one
            for one in again.findings
            if one.rule == finding.rule and subject(again, one) == subject(analysis, finding)
        ]
        assert same, (finding.key, [one.key for one in again.findings])
        if finding.rule in MAY_WEAKEN:
            assert same[0].verdict.rank >= finding.verdict.rank
        else:
            assert same[0].verdict is finding.verdict, (finding.key, same[0].caveats)
        accused = {one.key for one in again.findings if one.severity is Severity.ERROR and "path" not in one.subject}
        assert accused <= {one.key for one in analysis.findings}


@pytest.mark.parametrize("name", FOLDERS)
def test_same_rule_subject_and_verdict(name: str) -> None:
    proves_itself(CAPTURES / name, blind=False)


@pytest.mark.parametrize("name", ["hairpin", "closed-port", "asymmetric-return", "snat-exhaustion"])
def test_without_a_topology(name: str) -> None:
    proves_itself(CAPTURES / name, blind=True)


@pytest.mark.parametrize("name", ["probe-blocked", "probes-azure", "healthy-full-nat"])
def test_of_other_captures(truth: Path, name: str) -> None:
    proves_itself(truth / "lab" / name, blind=False)
    proves_itself(truth / "lab" / name, blind=True)


def test_every_error_rule_is_among_them() -> None:
    seen = {finding.rule for name in FOLDERS for finding in evidence(CAPTURES / name)[0].findings}
    errors = {name for name, rule in RULES.items() if rule.SEVERITY is Severity.ERROR}
    # Needs a file with security rules: the test below.
    assert errors - seen == {"nsg-deny"}


def test_with_the_same_security_rules() -> None:
    folder = CAPTURES / "probe-blocked-before-member"
    topology, rules = str(folder / "topology.toml"), Settings(hash=True, nsg=(f"{CAPTURES / 'be2-nsg.json'}=be2",))
    analysis = analyze(files(folder), topology=topology, settings=rules)
    outs = {finding.id: io.BytesIO() for finding in analysis.findings}
    write_findings(analysis, dict(outs))
    assert "nsg-deny" in {finding.rule for finding in analysis.findings}
    for finding in analysis.findings:
        with Spool(io.BytesIO(outs[finding.id].getvalue())) as spool:
            again = analyze(["-"], topology=topology, settings=rules, stdin=spool.stream)
        assert (finding.key, finding.verdict) in {(one.key, one.verdict) for one in again.findings}


def test_points_keep_their_names_and_places() -> None:
    analysis, topology, files = evidence(CAPTURES / "closed-port")
    again = analyze([files["F1"]], topology=topology)
    places = {point.name: point.node for point in analysis.points}
    assert {point.name: point.node for point in again.points}.items() <= places.items()
    assert again.findings[0].verdict is Verdict.CONFIRMED


@pytest.mark.parametrize("name", ["snat-exhaustion", "hairpin", "closed-port"])
def test_a_finding_larger_than_its_file_still_proves_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds of evidence files, made small: as when a capture holds a hundred times as much."""
    for bound, frames in (("MOST_FRAMES", 900), ("_MOST_OWN", 540), ("_MOST_OF_HOSTS", 160), ("_MOST_OF_POOL", 120)):
        monkeypatch.setattr(choice, bound, frames)
    folder = CAPTURES / name
    analysis = analyze(files(folder), topology=str(folder / "topology.toml"), settings=Settings(hash=True))
    for finding in analysis.findings:
        if finding.severity is not Severity.ERROR:
            continue
        out = io.BytesIO()
        assert write_findings(analysis, {finding.id: out})[finding.id] <= 900
        with Spool(io.BytesIO(out.getvalue())) as spool:
            again = analyze(["-"], topology=str(folder / "topology.toml"), stdin=spool.stream)
        assert (finding.key, finding.verdict) in {(one.key, one.verdict) for one in again.findings}
