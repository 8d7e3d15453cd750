"""The script's data says what the tables say, shorter."""

from __future__ import annotations

import json
from typing import Any

from flowscope.report.html.rows import rows
from flowscope.report.html.view import View
from tests.report.findings import hairpin
from tests.traffic import balanced, scattered


def column(table: dict[str, Any], name: str) -> list[Any]:
    """A column as the script reads it."""
    values = table[name]
    if isinstance(values, dict):
        if "all" in values:
            return [values["all"]] * table["count"]
        return list(range(values["from"], values["from"] + table["count"]))
    return list(values)


def test_a_path_can_be_followed_to_its_flows() -> None:
    report = balanced(findings=[hairpin()])
    block = rows(View(report, {}), report.paths)
    text = block["addresses"]
    assert text[column(block["paths"], "client")[0]] == "10.0.0.9"
    assert text[column(block["paths"], "frontend")[0]] == "10.0.0.100"
    assert text[column(block["paths"], "backend")[0]] == "10.0.0.4"
    assert block["paths"]["findings"] == {"0": "F1"}
    assert column(block["paths"], "failed") == [1]
    assert column(block["paths"], "legs") == [[0, 1]]
    # One flow is a number, several are a list; upstream first.
    assert column(block["legs"], "flows") == [0, [2, 1]]
    assert block["words"][column(block["flows"], "state")[0]] == "SF"


def test_columns_are_the_tables_whatever_their_shape() -> None:
    report = scattered(50)
    block = json.loads(json.dumps(rows(View(report, {}), report.paths)))
    assert column(block["paths"], "id") == report.paths["path"].to_list()
    assert column(block["paths"], "backend_port") == [443] * 50
    assert column(block["paths"], "frontend") == [None] * 50
    assert column(block["paths"], "failed") == [1, 1, 1] + [0] * 47
    assert [block["addresses"][one] for one in column(block["legs"], "dst")] == [f"10.2.0.{at}" for at in range(50)]
