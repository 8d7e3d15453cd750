"""What is put into the tree comes out as text, never as markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowscope.report.markup import add, data, element, html, linked, raw, xml

ATTACKS = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='alert(1)", "</title><script>",
    "<!--", "]]>", "&lt;script&gt;", "\x00<b>", "\u202e<i>", "</style>", "javascript:alert(1)",
)  # fmt: skip


class Reader(HTMLParser):
    """Tags and text as a browser would read them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


@pytest.mark.parametrize("attack", ATTACKS)
def test_text_and_attributes_stay_what_they_are(attack: str) -> None:
    found = read(html(element("p", attack, element("b", attack), attack, title=attack)))
    assert found.tags == ["p", "b"]
    assert [name for name, _ in found.attributes] == ["title"]


@given(st.text())
def test_any_text_is_one_element(text: str) -> None:
    assert read(html(element("p", text, title=text))).tags == ["p"]
    assert ElementTree.fromstring(xml(element("p", text, title=text)).encode()).tag == "p"


def test_text_after_an_element_follows_it() -> None:
    made = element("p", "a", element("b", "c"), "d", None, "e")
    assert html(made) == "<!doctype html>\n<p>a<b>c</b>de</p>\n"
    assert html(add(made, element("br"))).endswith("de<br></p>\n")


def test_names_of_attributes() -> None:
    made = element("a", class_="x", aria_label="y", hidden=True, disabled=False, title=None, x=1.50)
    assert made.attrib == {"class": "x", "aria-label": "y", "hidden": "", "x": "1.5"}


@pytest.mark.parametrize("name", ["onclick", "src", "style", "srcset", "a b"])
def test_attributes_that_run_or_fetch_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        element("a", **{name: "x"})


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "//example.org/", "\\\\host\\x", "JaVa:x"]
)
def test_harmful_addresses_are_dropped(address: str) -> None:
    assert "href" not in element("a", "x", href=address).attrib


@pytest.mark.parametrize("address", ["https://example.org/a?b=c:d", "#F1", "evidence/F1.pcapng"])
def test_harmless_addresses_stay(address: str) -> None:
    assert element("a", "x", href=address).get("href") == address


def test_scripts_and_styles_have_a_door_of_their_own() -> None:
    with pytest.raises(ValueError, match="raw"):
        element("script", "1")
    for content in ("</script><b>", "<!-- x"):
        with pytest.raises(ValueError, match="not the content"):
            raw("script", content)


@pytest.mark.parametrize("attack", ATTACKS)
def test_data_cannot_end_its_block(attack: str) -> None:
    block = data("rows", [attack])
    assert json.loads(block.text or "") == [attack]
    assert "<" not in (block.text or "")


def test_backticks_are_code() -> None:
    made = element("p", *linked("check `ss -ltn`, then `<b>`"))
    assert [(one.tag, one.text) for one in made] == [("code", "ss -ltn"), ("code", "<b>")]


def test_addresses_in_text_are_links() -> None:
    made = element("p", *linked("see https://example.org/a <b> and http://x.test"))
    assert [one.get("href") for one in made] == ["https://example.org/a", "http://x.test"]
