"""Terminal colours, sparingly: severities, headings, and what can be skipped."""

from __future__ import annotations

from collections.abc import Callable

Paint = Callable[[str, str], str]
"""Takes a text and the name of a style."""

_STYLES = {
    "error": "1;31",
    "warning": "1;33",
    "info": "1;36",
    "good": "1;32",
    "heading": "1",
    "label": "36",
    "faint": "2",
}


def painter(colour: bool) -> Paint:
    """A function that styles text with terminal colours, or leaves it as it is."""
    if not colour:
        return lambda text, style: text
    return lambda text, style: f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if text else text
