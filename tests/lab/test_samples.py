from __future__ import annotations

import json
import re

from flowscope.rules import RULES
from tests.lab.samples import CAPTURES, SAMPLES, enter, left_out, pin
from tests.lab.scenarios.index import load

PAGE = "# Captures\n\n| folder | what |\n|---|---|\n| `a` | previous |\n| `b` | other |\n\nLineage.\n"


def test_every_sample_is_a_scenario() -> None:
    assert {sample.scenario or name for name, sample in SAMPLES.items()} <= set(load())


def test_every_folder_can_be_made_anew() -> None:
    assert set(SAMPLES) == {path.name for path in CAPTURES.iterdir() if path.is_dir()}


def test_a_row_replaces_the_old_one() -> None:
    assert enter(PAGE, {"a": "| `a` | new |"}) == PAGE.replace("previous", "new")


def test_a_new_row_ends_the_table() -> None:
    assert enter(PAGE, {"c": "| `c` | new |"}) == PAGE.replace("other |\n", "other |\n| `c` | new |\n")


def test_members_are_left_out_together() -> None:
    assert left_out({"vantage": "vm1", "node": "vm1"}, ("members",))
    assert not left_out({"vantage": "lb_in", "node": "lb"}, ("client", "members"))


def test_members_without_a_fault_are_left_out() -> None:
    assert left_out({"vantage": "vm1", "node": "vm1"}, ("others",), {"vm2"})
    assert not left_out({"vantage": "vm2", "node": "vm2"}, ("others",), {"vm2"})
    assert not left_out({"vantage": "lb_in", "node": "lb"}, ("others",), {"vm2"})


def test_every_row_pins_its_folder() -> None:
    rows = re.findall(r"^\| `([\w-]+)` .* \| `(\w{64})` \|$", (CAPTURES / "README.md").read_text(), re.MULTILINE)
    assert dict(rows) == {path.name: pin(path) for path in CAPTURES.iterdir() if path.is_dir()}


def test_every_rule_has_a_sample() -> None:
    truths = [json.loads(path.read_text()) for path in CAPTURES.glob("*/truth.json")]
    shown = {item["rule"] for told in truths for item in told["expected_findings"]}
    assert set(RULES) <= shown
