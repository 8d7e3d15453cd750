"""The document around the sections: head, navigation, and the policy that lets nothing in or out.

The script and the drawing are our own: libraries that draw graphs and tables in a browser take one to five megabytes
inlined, where the whole report with 10,000 flows is to stay below two; they need ``unsafe-eval`` or inline styles,
which the policy forbids; and no copied JavaScript lies in the repository. SVG and a few hundred lines do.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from flowscope import __version__
from flowscope.graph.picture import style as graph_style
from flowscope.report.markup import Element, element, html, raw

_FOLDER = Path(__file__).parent


def page(title: str, sections: Sequence[Element], *, bare: bool = False) -> str:
    """The whole document as HTML.

    Args:
        title: of the window and of the top of the page.
        sections: in order; each has an id and a heading, which become the navigation.
        bare: without navigation.
    """
    style = "\n".join((own("colours.css"), own("style.css"), own("ladder.css"), own("timeline.css"), graph_style()))
    script = "\n".join(own(name) for name in ("script.js", "graph.js", "start.js"))
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    policy_meta = element("meta", content=policy)
    # "http-equiv" cannot be spelled as an argument's name and stay readable.
    policy_meta.set("http-equiv", "Content-Security-Policy")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        policy_meta,
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="generator", content=f"flowscope {__version__}"),
        element("title", title),
        raw("style", style),
    )
    body = element(
        "body",
        element("a", "Skip to the content", class_="skip", href="#content"),
        None if bare else _top(sections),
        element("main", *sections, id="content", tabindex="-1"),
        element("div", id="said", class_="unseen", role="status", aria_live="polite"),
        raw("script", script),
    )
    return html(element("html", head, body, lang="en"))


def section(id: str, heading: str, *children: Element | str | None, short: str = "") -> Element:
    """One section of the page, named by its heading.

    Args:
        id: for links to it.
        heading: what stands above it.
        children: its content.
        short: its name in the navigation, when the heading is too long.
    """
    made = element(
        "section", element("h2", heading, id=f"{id}-heading"), *children, id=id, aria_labelledby=f"{id}-heading"
    )
    made.set("data-short", short or heading)
    return made


@cache
def own(name: str) -> str:
    """The text of one of the page's own files."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def _top(sections: Sequence[Element]) -> Element:
    links = [
        element("li", element("a", one.get("data-short") or "", href=f"#{one.get('id')}"))
        for one in sections
        if one.get("id")
    ]
    switch = element("button", "Dark or light", id="theme", type="button", hidden=True)
    return element(
        "header",
        element("span", "flowscope", class_="brand"),
        element("nav", element("ul", *links), aria_label="Sections"),
        switch,
        class_="top",
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
