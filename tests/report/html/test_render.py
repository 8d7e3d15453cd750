"""The page is one file that asks for nothing, says everything, and is the same every time."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest

from flowscope.report.html import render
from tests.report.findings import hairpin, undecided
from tests.report.test_markup import Reader, read
from tests.traffic import analysis, balanced, scattered


@pytest.fixture
def report() -> Any:
    return balanced(findings=[hairpin(), undecided()], judged={"hairpin-mismatch": 1})


def policy(page: Reader) -> str:
    (found,) = [value for name, value in page.attributes if name == "content" and value and "default-src" in value]
    return str(found)


def test_the_policy_lets_only_its_own_script_and_style_in(report: Any) -> None:
    text = render(report)
    told = policy(read(text))
    assert told.startswith("default-src 'none'; ")
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in told
    assert "unsafe" not in told


def test_nothing_is_asked_for(report: Any) -> None:
    page = read(render(report))
    assert not {"img", "iframe", "link", "object", "embed", "form", "base"} & set(page.tags)
    assert not {"src", "style", "srcset", "action"} & {name for name, _ in page.attributes}
    # A style sheet asks, too.
    assert not re.search(r"url\((?!#)|@import", render(report))


def test_the_same_analysis_gives_the_same_text(report: Any) -> None:
    assert render(report) == render(report)


def test_every_finding_is_told_in_full(report: Any) -> None:
    page = read(render(report, evidence={"F1": "evidence/F1.pcapng"}))
    for finding in report.findings:
        for text in (finding.title, finding.summary, finding.cause, *finding.remedy, finding.filter, *finding.caveats):
            assert text in page.text
    assert undecided().next_capture in page.text
    assert ("href", "evidence/F1.pcapng") in page.attributes
    assert ("id", "F2") in page.attributes


def test_headings_and_tables_have_names(report: Any) -> None:
    page = read(render(report))
    assert page.tags.count("h1") == page.tags.count("main") == page.tags.count("nav") == 1
    assert page.tags.count("caption") == page.tags.count("table")
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for name, value in page.attributes:
        if name == "href" and value and value.startswith("#"):
            assert value[1:] in ids


def test_nothing_is_still_a_page() -> None:
    assert "No connection was seen" in render(analysis())


def test_ten_thousand_flows_are_two_megabytes_at_most() -> None:
    report = scattered(10_000)
    report.findings = [hairpin(id=f"F{at}", paths=tuple(range(at * 3, at * 3 + 3))) for at in range(1, 800)]
    text = render(report)
    assert len(text.encode()) < 2_000_000
    # All of them are there to be filtered, and every finding is named.
    assert '"paths":{"count":10000,' in text
    assert '"flows":{"count":10000,' in text
    assert 'id="F799"' in text


def test_of_more_flows_the_failed_ones_stay() -> None:
    text = render(scattered(12_000))
    assert '"paths":{"count":10000,' in text
    assert "10,000 of 12,000 paths, failed ones first" in text
    assert len(text.encode()) < 2_000_000
