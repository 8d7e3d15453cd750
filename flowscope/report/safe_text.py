"""Text from packets, files and names, made safe for where it is shown.

Whoever was on the wire chose it: an escape sequence can repaint a terminal, a bidirectional override can turn a name
around, a leading ``=`` is a formula to a spreadsheet.
"""

from __future__ import annotations

import re
from typing import Final

# C0 and C1 controls, line and paragraph separators, zero-width and bidirectional formatting, tags, lone surrogates.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)

FORMULA: Final = r"^[=+\-@\t\r\n]"
"""Matches text that a spreadsheet would take for a formula."""


def safe_line(text: str) -> str:
    """Text for one line of a terminal: what would not show, or would move other text, is written as an escape."""
    return _UNSAFE.sub(_escaped, text)


def safe_unicode(text: str) -> str:
    """Text that can be encoded as UTF-8: bytes of a file name that are no UTF-8 become U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
