"""Findings over time: told at the second look, once; updated; withdrawn only when two looks lack them."""

from __future__ import annotations

from dataclasses import replace

from flowscope.findings import Evidence, Finding, Severity, Verdict
from flowscope.live.merging import Change, Merging


def finding(count: int = 1, flows: tuple[int, ...] = (1,), verdict: Verdict = Verdict.LIKELY) -> Finding:
    return Finding(
        rule="closed-port", severity=Severity.ERROR, verdict=verdict, title="a", summary="b",
        subject={"member": "10.0.0.4:80"}, count=count, evidence=(Evidence(0, 1, 0, "SYN"),), flows=flows,
    )  # fmt: skip


def changes(merging: Merging, *found: Finding, now: int = 0) -> list[tuple[str, int]]:
    return [(update.change.value, update.finding.count) for update in merging.update(found, now)]


def test_told_at_the_second_look_and_once() -> None:
    merging = Merging()
    assert changes(merging, finding()) == []
    assert changes(merging, finding(), now=5) == [("new", 1)]
    assert changes(merging, finding(), now=6) == []
    assert merging.since(finding().key) == 5


def test_two_looks_at_different_flows_are_not_one_finding() -> None:
    merging = Merging()
    assert changes(merging, finding(flows=(1,))) == []
    assert changes(merging, finding(flows=(2,))) == []
    assert changes(merging, finding(flows=(2, 3))) == [("new", 1)]


def test_grown_or_surer_is_an_update() -> None:
    merging = Merging()
    changes(merging, finding())
    changes(merging, finding())
    assert changes(merging, finding(count=3)) == [("updated", 3)]
    assert changes(merging, finding(count=3, verdict=Verdict.CONFIRMED)) == [("updated", 3)]


def test_withdrawn_when_two_looks_lack_it() -> None:
    merging = Merging()
    changes(merging, finding())
    changes(merging, finding())
    assert changes(merging) == []
    (update,) = merging.update([], 0)
    assert update.change is Change.WITHDRAWN
    assert merging.findings == []


def test_one_look_without_it_withdraws_nothing() -> None:
    merging = Merging()
    changes(merging, finding())
    changes(merging, finding())
    changes(merging)
    assert changes(merging, finding()) == []
    assert changes(merging) == []


def test_what_rests_on_flows_put_aside_stays_and_goes_on_counting() -> None:
    merging = Merging()
    changes(merging, finding(count=4, flows=(1, 2)))
    changes(merging, finding(count=4, flows=(1, 2)))
    merging.put_aside([1, 2], {finding().key: 4})
    assert [changes(merging), changes(merging), changes(merging)] == [[], [], []]
    assert changes(merging, finding(count=1, flows=(9,))) == [("updated", 5)]
    assert [one.count for one in merging.aged] == [5]


def test_another_subject_is_another_finding() -> None:
    merging = Merging()
    other = replace(finding(), subject={"member": "10.0.0.5:80"})
    changes(merging, finding(), other)
    assert changes(merging, finding(), other) == [("new", 1), ("new", 1)]
