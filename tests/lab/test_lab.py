"""The lab against flowscope: every scenario twice, with other addresses, and what a report must and must not say.

FLOWSCOPE_LAB_SEED=N plays seeds N and N+1 instead of 1 and 2; FLOWSCOPE_LAB=0 leaves the lab out; FLOWSCOPE_LAB_JOBS=N
plays N scenarios side by side.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import compare, degraded_paths, spoil
from tests.lab.degraded_paths import Row
from tests.lab.reports import Reports, Said
from tests.lab.run import JOBS, Outcome, play_all
from tests.lab.scenarios.index import load
from tests.lab.world import missing

BASE = int(os.environ.get("FLOWSCOPE_LAB_SEED", "1"))
SEEDS = (BASE, BASE + 1)
EXE = str(Path(sys.executable).with_name("flowscope"))
# Spoiled copies are made of these.
CLEAN = ("healthy-full-nat", "closed-port", "blocked-in-member", "hairpin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("FLOWSCOPE_LAB") == "0", reason="FLOWSCOPE_LAB=0"),
    pytest.mark.parametrize("seed", SEEDS),
]
each = pytest.mark.parametrize("name", sorted(load()))
clean = pytest.mark.parametrize("clean", CLEAN)
views = pytest.mark.parametrize("how", ["topology", "blind"])


class Runs:
    """The outcomes of all scenarios that the chosen tests ask for, and flowscope's reports of them."""

    def __init__(self, out: Path, plain: set[tuple[int, str]], spoiled: set[tuple[int, str]]) -> None:
        self.out = out
        self.outcomes: dict[tuple[int, str], Outcome] = {}
        self.reports = Reports(EXE)
        # Playing is mostly waiting: reports are made meanwhile.
        for outcome in play_all(plain | spoiled, out, int(os.environ.get("FLOWSCOPE_LAB_JOBS", JOBS))):
            key = outcome.seed, outcome.name
            self.outcomes[key] = outcome
            if not outcome.error and not outcome.skipped:
                self.reports.ask(self.folder(*key), spoiled=key in spoiled)
                if key in plain:
                    self.reports.degrade(self.folder(*key), outcome.seed)

    def folder(self, seed: int, name: str) -> Path:
        """The captures of a run that went well; skips where it could not be played."""
        outcome = self.outcomes[seed, name]
        if outcome.skipped:
            pytest.skip(outcome.skipped)
        assert not outcome.error, outcome.error
        return self.out / str(seed) / name

    def said(self, seed: int, name: str, how: str) -> Said:
        """What flowscope says of a run, or of a spoiled copy."""
        return self.reports.said(self.folder(seed, name), how)

    def degraded(self, seed: int, name: str) -> list[Row]:
        """How legs and clocks of degraded copies were judged."""
        return self.reports.degraded(self.folder(seed, name), seed)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, core: None) -> Iterator[Runs]:
    """Plays what the selected tests need, once."""
    if reason := missing():
        pytest.skip(reason)
    wanted: dict[str, set[tuple[int, str]]] = {"name": set(), "clean": set()}
    for item in request.session.items:
        params = getattr(item, "callspec", None) and item.callspec.params
        if params and item.path == request.path:
            for key in wanted.keys() & params.keys():
                wanted[key].add((params["seed"], params[key]))
    played = Runs(tmp_path_factory.mktemp("lab"), wanted["name"], wanted["clean"])
    yield played
    played.reports.close()


@each
def test_the_phenomenon_is_real(runs: Runs, seed: int, name: str) -> None:
    outcome = runs.outcomes[seed, name]
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert not outcome.error, outcome.error
    assert not outcome.wrong


@each
def test_the_faults_are_named(runs: Runs, seed: int, name: str) -> None:
    assert not runs.said(seed, name, "topology").differs.missing


@each
@views
def test_nothing_is_invented(runs: Runs, seed: int, name: str, how: str) -> None:
    assert not runs.said(seed, name, how).differs.invented


@each
@views
def test_members_go_down_and_come_back_within_a_probe_of_the_truth(runs: Runs, seed: int, name: str, how: str) -> None:
    shifts = runs.said(seed, name, how).shifts
    if not shifts:
        pytest.skip("no member is to fail its probes")
    # Blind, a report says so when it had to take the documented thresholds for granted.
    assert not [one for one in shifts if not one.right]


@each
@views
def test_legs_are_joined(runs: Runs, seed: int, name: str, how: str) -> None:
    found = runs.said(seed, name, how).differs
    # Of 20,000 connections through a translator that uses its ports again and again a few are alike by accident.
    least = 0.999 if name == "load" else 1.0
    assert found.precision >= least, found.misjoined[:5]
    assert found.recall >= (least if how == "topology" else 0.99), found.unjoined[:5]


@each
def test_degraded_captures_keep_their_legs_and_clocks(runs: Runs, seed: int, name: str) -> None:
    assert [
        line for row in runs.degraded(seed, name) for line in (degraded_paths.table(row), *row.wrong) if row.wrong
    ] == []


@clean
@pytest.mark.parametrize("how", ["loss-1%", "loss-10%", "reordered", "doubled", "snap-96", "late"])
def test_worse_captures_invent_nothing(runs: Runs, seed: int, clean: str, how: str) -> None:
    found = runs.said(seed, clean, how).differs
    assert not found.invented
    assert found.precision >= 0.98, found.misjoined[:5]


@clean
def test_captures_that_begin_at_different_times_invent_nothing(runs: Runs, seed: int, clean: str) -> None:
    assert not runs.said(seed, clean, "apart").differs.invented


@clean
@pytest.mark.parametrize("how", ["reordered", "doubled", "snap-96"])
def test_worse_captures_still_show_the_fault(runs: Runs, seed: int, clean: str, how: str) -> None:
    found = runs.said(seed, clean, how).differs
    assert not found.missing
    assert found.recall >= 0.98, found.unjoined[:5]


@clean
@pytest.mark.parametrize("how", spoil.FORMS)
def test_every_form_says_the_same(runs: Runs, seed: int, clean: str, how: str) -> None:
    found = runs.said(seed, clean, how).differs
    assert not found.missing
    assert not found.invented
    assert found.recall >= 0.99


@clean
def test_cut_frames_are_told(runs: Runs, seed: int, clean: str) -> None:
    assert "truncated-packets" in runs.said(seed, clean, "snap-60").rules


@clean
def test_a_wrong_clock_does_not_part_the_legs(runs: Runs, seed: int, clean: str) -> None:
    found = runs.said(seed, clean, "other-clock").differs
    assert not found.invented
    assert not found.missing
    assert found.recall >= 0.99, found.unjoined[:5]


@clean
def test_a_file_cut_short_is_read_as_far_as_it_goes(runs: Runs, seed: int, clean: str) -> None:
    said = runs.said(seed, clean, "cut-short")
    assert said.damaged == spoil.names(compare.truth(runs.folder(seed, clean)))[-1:]
    assert not said.differs.invented


@clean
def test_a_missing_point_invents_nothing(runs: Runs, seed: int, clean: str) -> None:
    for number, file in enumerate(spoil.names(compare.truth(runs.folder(seed, clean)))):
        assert not runs.said(seed, clean, f"without-{number}").differs.invented, file
