"""Notebooks show tables, and nothing runs in them."""

from __future__ import annotations

import pytest

from flowscope.analysis import Analysis
from flowscope.report.html.notebook import analysis_fragment
from tests.report.findings import hairpin, undecided
from tests.report.test_markup import ATTACKS, read
from tests.traffic import analysis, balanced


def test_an_analysis_lists_its_findings() -> None:
    page = read(analysis_fragment(balanced(findings=[hairpin(), undecided()])))
    assert "2 captures, 2,000 frames, 3 flows, 1 path; paths: 1 established" in page.text
    assert page.tags.count("tr") == 3
    assert hairpin().title in page.text


def test_a_finding_shows_its_frames() -> None:
    page = read(hairpin()._repr_html_())
    for text in (hairpin().summary, hairpin().cause, "SYN out to the frontend", hairpin().filter, *hairpin().remedy):
        assert text in page.text


def test_nothing_found() -> None:
    assert "No findings." in analysis_fragment(analysis())


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_stay_text(attack: str) -> None:
    one = hairpin(title=attack, summary=attack, cause=attack, remedy=(attack,), next_capture=attack, filter=attack)
    tags = set(read(one._repr_html_() + analysis_fragment(balanced(findings=[one]))).tags)
    assert tags <= {"div", "p", "b", "table", "tr", "th", "td", "code", "ul", "li"}


def test_both_have_the_method_that_notebooks_ask_for() -> None:
    assert callable(Analysis._repr_html_)
    assert callable(Analysis.graph)
