"""Rules that never get their turn are named; those that still decide something are not."""

from __future__ import annotations

import pytest

from flowscope.cloud.shadowed import shadowed, shadowing
from tests.cloud.rule_lines import group

CASES = [
    ("100 in deny tcp * > * : *\n200 in allow tcp * > * : 8080", "r200"),
    ("100 in deny * 10.0.0.0/8 > * : 80-90\n200 in allow tcp 10.1.0.0/16,10.2.0.0/16 > * : 85", "r200"),
    ("100 in deny tcp * > * : 80-84,85-90\n200 in allow tcp * > * : 82-88", "r200"),
    ("100 in deny tcp VirtualNetwork,Internet > * : *\n200 in allow tcp internet > * : 80", "r200"),
    ("100 in deny udp * > * : *\n200 in allow tcp * > * : 8080", None),
    ("100 in deny tcp 10.0.0.0/8 > * : *\n200 in allow tcp * > * : 8080", None),
    ("100 in deny tcp 10.0.0.0/8 > * : *\n200 in allow tcp 10.0.0.0/7 > * : 8080", None),
    ("100 in deny tcp * > * : 80-90\n200 in allow tcp * > * : 85-91", None),
    ("100 in deny tcp Internet > * : *\n200 in allow tcp Storage > * : 80", None),
    ("200 in deny tcp * > * : *\n100 in allow tcp * > * : 8080", None),
    ("100 out deny tcp * > * : *\n200 in allow tcp * > * : 8080", None),
    ("100 in deny tcp * : 1-1023 > * : *\n200 in allow tcp * > * : 8080", None),
]


@pytest.mark.parametrize(("lines", "expected"), CASES)
def test_shadowed(lines: str, expected: str | None) -> None:
    found = [rule.name for _, rule, _ in shadowed([group(lines)])]
    assert found == ([expected] if expected else [])


def test_a_second_rule_of_the_same_mind_is_superfluous_but_no_fault() -> None:
    one = group("100 in allow tcp * > * : *\n200 in allow tcp * > * : 80")
    assert shadowed([one]) == []
    assert shadowing(one, one.rules[1]) is one.rules[0]
