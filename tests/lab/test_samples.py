from __future__ import annotations

from tests.lab.samples import SAMPLES, enter
from tests.lab.scenarios.index import load

PAGE = "# Captures\n\n| folder | what |\n|---|---|\n| `a` | previous |\n| `b` | other |\n\nLineage.\n"


def test_every_sample_is_a_scenario() -> None:
    assert set(SAMPLES) <= set(load())


def test_a_row_replaces_the_old_one() -> None:
    assert enter(PAGE, {"a": "| `a` | new |"}) == PAGE.replace("previous", "new")


def test_a_new_row_ends_the_table() -> None:
    assert enter(PAGE, {"c": "| `c` | new |"}) == PAGE.replace("other |\n", "other |\n| `c` | new |\n")
