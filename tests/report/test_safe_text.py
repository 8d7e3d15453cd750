"""Text from the wire cannot repaint a terminal, turn a name around, or run in a spreadsheet."""

from __future__ import annotations

import re

import pytest

from flowscope.report.safe_text import FORMULA, dot_string, markdown_text, mermaid_string, safe_line, safe_unicode


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vm1", '"vm1"'),
        ('a"]; b [label="c', '"a\\"]; b [label=\\"c"'),
        ("x\\N", '"x\\\\N"'),
        ("a\nb", '"a\\\\x0ab"'),
    ],
)
def test_dot_strings_end_where_they_should(text: str, expected: str) -> None:
    assert dot_string(text) == expected


def test_mermaid_strings_hold_no_quotes_and_no_tags() -> None:
    assert mermaid_string('a"] --> <b> 10.0.0.4:80') == '"a#34;] --#62; #60;b#62; 10.0.0.4:80"'


@pytest.mark.parametrize(
    "text", ["[a](http://x)", "*b*", "`c`", "<img>", "# d", "| e", "a_b_c", "~~f~~", "$g$", "![h](i)"]
)
def test_markdown_shows_what_was_written(text: str) -> None:
    shown = markdown_text(text)
    assert shown.replace("\\", "") == text
    assert not re.search(r"(?<!\\)[`*_\[\]<>#|~$!]", shown)


def test_markdown_mentions_nobody() -> None:
    assert markdown_text("@admin &lt;") == "(at)admin \\&lt;"
