"""Text from the wire cannot repaint a terminal, turn a name around, or run in a spreadsheet."""

from __future__ import annotations

import re

import pytest

from flowscope.report.safe_text import FORMULA, safe_line, safe_unicode


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vm1", "vm1"),
        ("größe 北京", "größe 北京"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\rc\td", "a\\x0ab\\x0dc\\x09d"),
        ("\x9b31m", "\\x9b31m"),
        ("txt\u202egpj", "txt\\u202egpj"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\u2028", "\\u2028"),
        ("bad\udcff", "bad\\xff"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_safe_line(text: str, expected: str) -> None:
    assert safe_line(text) == expected
    safe_line(text).encode()


def test_every_control_character_is_made_visible() -> None:
    controls = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0))))
    assert safe_line(controls).isprintable()


def test_file_names_that_are_no_unicode_can_be_written() -> None:
    assert safe_unicode("a\udcffb") == "a\ufffdb"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_recognised(text: str) -> None:
    assert re.match(FORMULA, text)
    assert not re.match(FORMULA, f"a{text}")
