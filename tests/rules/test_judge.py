"""Running the rules: one that fails takes only itself out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowscope.findings import Finding
from flowscope.rules import RULES
from flowscope.window import Window
from tests.rules.outbound import TOPOLOGY
from tests.rules.scene import judged
from tests.rules.test_snat_exhaustion import elsewhere, full, too_many
from tests.wire import Wire

pytestmark = pytest.mark.usefixtures("core")


def test_a_rule_that_fails_on_its_way_takes_only_itself_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    full(wire)
    too_many(wire)
    elsewhere(wire)
    whole = judged(wire, tmp_path, TOPOLOGY)
    rule = RULES["snat-exhaustion"]
    told = rule.judge

    def fails(window: Window) -> Iterator[Finding]:
        yield from told(window)
        raise KeyError("a mistake")

    monkeypatch.setattr(rule, "judge", fails)
    analysis = judged(wire, tmp_path, TOPOLOGY)
    assert [line.split(" was left out")[0] for line in analysis.problems] == ["rule snat-exhaustion failed and"]
    assert "snat-exhaustion" not in analysis.judged
    assert not [one for one in analysis.findings if one.rule == "snat-exhaustion"]
    assert [one for one in whole.findings if one.rule == "snat-exhaustion"]
