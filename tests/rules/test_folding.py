"""One fault is one finding: the nearer cause keeps the path."""

from __future__ import annotations

from flowscope.findings import Evidence, Finding, Severity, Verdict
from flowscope.rules.folding import fold


def finding(rule: str, *paths: int, verdict: Verdict = Verdict.CONFIRMED) -> Finding:
    return Finding(
        rule, Severity.ERROR, verdict, rule, "", {"host": rule}, len(paths), (Evidence(0, 1, 0, ""),), paths=paths
    )


def test_the_nearer_cause_wins_and_names_what_it_explains() -> None:
    (left,) = fold([finding("blocked-traffic", 1, 2), finding("hairpin-mismatch", 1, 2, 3)])
    assert (left.rule, left.folded, left.count) == ("hairpin-mismatch", ("blocked-traffic",), 3)


def test_what_only_one_explains_stays() -> None:
    nearer, farther = fold([finding("blocked-traffic", 1, 2, 9), finding("closed-port", 1, 2)])
    assert (nearer.rule, nearer.paths) == ("closed-port", (1, 2))
    assert (farther.paths, farther.count) == ((9,), 1)


def test_findings_without_paths_are_left_alone() -> None:
    assert len(fold([finding("truncated-packets"), finding("truncated-packets")])) == 2
