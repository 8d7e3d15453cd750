"""Text from packets, files and names, made safe for where it is shown: one function per medium, all of them here.

Whoever was on the wire chose it: an escape sequence can repaint a terminal, a bidirectional override can turn a name
around, a leading ``=`` is a formula to a spreadsheet, a quote ends a string of a graph file.

- terminals, and anything of one line: :func:`safe_line`
- HTML, SVG, GraphML, GEXF: their writers escape; :func:`safe_line` before them takes out what XML cannot hold
- JSON and file names that are no UTF-8: :func:`safe_unicode`
- CSV: :func:`safe_cell` and :data:`FORMULA`; Markdown: :func:`markdown_text`
- DOT: :func:`dot_string`; Mermaid: :func:`mermaid_string`

Two media never get such text: rich draws the progress bar only, and files that are made bear the ids of findings.
"""

from __future__ import annotations

import re
from typing import Final

# C0 and C1 controls, line and paragraph separators, zero-width and bidirectional formatting, tags, lone surrogates.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
# What Markdown or HTML would read as more than text, wherever it stands; a colon only where it makes a link.
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>#!|~&$]|:(?=//))")
_PLAIN_IN_MERMAID: Final = re.compile(r"[^\w .,:()/\[\]+%-]")

FORMULA: Final = r"^[=+\-@\t\r\n]"
"""Matches text that a spreadsheet would take for a formula."""


def safe_line(text: str) -> str:
    """Text for one line of a terminal: what would not show, or would move other text, is written as an escape."""
    return _UNSAFE.sub(_escaped, text)


def safe_cell(text: str) -> str:
    """Text for a cell of CSV: as :func:`safe_line`, but tabs and line breaks stay, since quotes hold them together."""
    return "".join(part if part in "\t\n\r" else safe_line(part) for part in re.split(r"([\t\n\r])", text))


def safe_unicode(text: str) -> str:
    """Text that can be encoded as UTF-8: bytes of a file name that are no UTF-8 become U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def dot_string(text: str) -> str:
    """A string of DOT, in quotes; a backslash is doubled, so that no name can begin an escape of a label."""
    escaped = safe_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def mermaid_string(text: str) -> str:
    """A string of Mermaid, in quotes; all but letters, digits and plain punctuation becomes an entity code."""
    return '"' + _PLAIN_IN_MERMAID.sub(lambda match: f"#{ord(match[0])};", safe_line(text)) + '"'


def markdown_text(text: str) -> str:
    """Text that brings no markup of its own; ``@`` would notify somebody in most ticket systems, escaped or not."""
    return _MARKDOWN.sub(r"\\\1", safe_line(text)).replace("@", "(at)")


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
