"""What counts as failed in pictures and tables."""

from __future__ import annotations

from flowscope.findings import Severity
from flowscope.nat.outcomes import FAILED, failed
from tests.report.findings import hairpin, undecided
from tests.traffic import paths

OUTCOMES = ("established", "reset", "idle-closed", "unknown", *FAILED)
ROWS = paths(*({"legs": [at], "outcome": outcome} for at, outcome in enumerate(OUTCOMES)))


def test_only_what_never_came_up_has_failed_by_itself() -> None:
    found = ROWS.select(failed([])).to_series().to_list()
    assert [outcome for outcome, bad in zip(OUTCOMES, found, strict=True) if bad] == list(FAILED)


def test_a_decided_error_says_that_its_paths_failed() -> None:
    assert ROWS.select(failed([hairpin(paths=(1,))])).to_series().to_list()[:3] == [False, True, False]


def test_doubts_and_warnings_do_not() -> None:
    for finding in (undecided(paths=(1,)), hairpin(paths=(1,), severity=Severity.WARNING)):
        assert not any(ROWS.select(failed([finding])).to_series().to_list()[:4])
