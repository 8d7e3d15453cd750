"""Files given beside the captures: listed as text, JSON and HTML, with hash and use."""

from __future__ import annotations

import io
from types import MappingProxyType
from typing import Any

import pytest

from flowscope.cloud.given import Given, split_where
from flowscope.report import render
from flowscope.report.look import Look
from tests.report.test_json import document
from tests.traffic import balanced

FILE = Given("nsg", "web.json", "ab" * 32, "Azure network security groups", MappingProxyType({"groups": 1, "rules": 9}))
USED = FILE.noting("evaluated for 10.0.0.4")


def shown(form: str, *given: Given, **look: Any) -> str:
    out = io.BytesIO()
    render(balanced(given=given), form, out, Look(**look))
    return " ".join(out.getvalue().decode().split())


def test_text_says_what_a_file_was_and_what_of_it_was_used() -> None:
    assert "nsg web.json: Azure network security groups (1 group, 9 rules); evaluated for 10.0.0.4" in shown(
        "text", USED
    )
    assert "(1 group, 9 rules); nothing of it was used" in shown("text", FILE)
    assert f"sha256 {'ab' * 32}" in shown("text", FILE, verbose=True)


def test_json_has_the_hash() -> None:
    (one,) = document(balanced(given=(USED,)))["given"]
    assert one == {
        "option": "nsg", "path": "web.json", "sha256": "ab" * 32, "kind": "Azure network security groups",
        "read": {"groups": 1, "rules": 9}, "used": ["evaluated for 10.0.0.4"],
    }  # fmt: skip
    assert "given" not in document(balanced())


@pytest.mark.parametrize(
    ("value", "parts"),
    [("a.json", ("a.json", None)), ("a.json=vm1", ("a.json", "vm1")), ("a=b.json=10.0.0.4", ("a=b.json", "10.0.0.4")),
     ("a.json=", ("a.json=", None))],
)  # fmt: skip
def test_a_file_and_whose_it_is(value: str, parts: tuple[str, str | None]) -> None:
    assert split_where(value) == parts
