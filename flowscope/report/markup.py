"""HTML and SVG, escaped by construction: elements are built as a tree, and only the tree is ever written.

The tree and its serializer are the standard library's. A template language would be one more dependency whose
escaping has to be switched on; here there is no way to put text in that is not escaped, and no string that counts as
"already safe". Text also loses what would not show or would turn other text around (:func:`safe_line`).
"""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

from flowscope.report.safe_text import safe_line

Element = ElementTree.Element
Child = Element | str | None
Value = str | int | float | bool | None

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_RAW = ("script", "style")
_SCHEMES = ("https://", "http://")


def element(tag: str, *children: Child, **attributes: Value) -> Element:
    """An element with its attributes and children; None among either is left out.

    Args:
        tag: name of the element; ``script`` and ``style`` have a function of their own.
        children: elements, and text, which is escaped when the tree is written.
        attributes: ``aria_label`` becomes ``aria-label``, ``class_`` becomes ``class``; True is an attribute without
            value, False none.
    """
    if tag in _RAW:
        raise ValueError(f"<{tag}> is not escaped: use raw()")
    made = ElementTree.Element(tag)
    for name, value in attributes.items():
        name = name.rstrip("_").replace("_", "-")
        # An attribute's name is never made of data, and no attribute runs code or asks for something.
        if not _NAME.fullmatch(name) or name.startswith("on") or name in ("src", "style", "srcset"):
            raise ValueError(f"attribute {name!r} is not allowed")
        if value is None or value is False:
            continue
        text = "" if value is True else _number(value) if isinstance(value, float) else str(value)
        if name == "href" and not _harmless(text):
            continue
        made.set(name, safe_line(text))
    return add(made, *children)


def add(parent: Element, *children: Child) -> Element:
    """Appends children to an element, and returns it."""
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            text = safe_line(child)
            if len(parent):
                parent[-1].tail = (parent[-1].tail or "") + text
            else:
                parent.text = (parent.text or "") + text
        else:
            parent.append(child)
    return parent


def raw(tag: str, content: str, **attributes: str) -> Element:
    """A script or style element, whose content the serializer does not escape.

    Raises:
        ValueError: the content could end the element.
    """
    if tag not in _RAW or "</" in content or "<!--" in content:
        raise ValueError(f"not the content of a <{tag}> element")
    made = ElementTree.Element(tag, attributes)
    made.text = content
    return made


def data(id: str, content: Any) -> Element:
    """A block of JSON for the page's script; it is no code, and nothing in it can end the block."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return raw("script", text.replace("<", "\\u003c"), type="application/json", id=id)


def linked(text: str) -> list[Child]:
    """Text with its web addresses as links, for the reader to follow, and what stands in backticks as code."""
    parts: list[Child] = []
    for at, piece in enumerate(re.split(r"(https?://[^\s<>\"'()`]+|`[^`]+`)", text)):
        if at % 2 == 0:
            parts.append(piece or None)
        elif piece.startswith("`"):
            parts.append(element("code", piece[1:-1]))
        else:
            parts.append(element("a", piece, href=piece, rel="noreferrer noopener"))
    return parts


def html(root: Element) -> str:
    """The document as HTML."""
    return "<!doctype html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"


def xml(root: Element) -> str:
    """The document as XML, for SVG files."""
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _harmless(address: str) -> bool:
    """True for web addresses, places in the page, and relative paths."""
    return address.startswith((*_SCHEMES, "#")) or not re.match(r"[^/?#]*:|//|\\", address)
