"""Each finding in full: what, why, its packets as a ladder, the frames that prove it, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowscope.report.fact_text import fact_text
from flowscope.report.html.cases import Cases
from flowscope.report.html.page import section as part
from flowscope.report.html.summary import badge
from flowscope.report.markup import Child, Element, element, linked

if TYPE_CHECKING:
    from flowscope.findings import Finding
    from flowscope.report.html.view import View

_FRAMES_OPEN = 8
"""So many frames of evidence stand in the open, the rest unfolds."""


def section(view: View) -> Element | None:
    """The findings, worst first."""
    if not view.analysis.findings:
        return None
    cases = Cases(view)
    return part("findings", "Findings", *(_finding(view, cases, one) for one in view.analysis.findings))


_IN_FULL = 40
"""Findings that are told in full; of the others what and why, and their frames are in the JSON report."""


def _finding(view: View, cases: Cases, finding: Finding) -> Element:
    if int(finding.id.lstrip("F") or 0) > _IN_FULL:
        return element(
            "article",
            element("h3", element("span", finding.id, class_="id"), " ", finding.title),
            element("p", badge(finding), " ", finding.summary),
            id=finding.id,
            class_=f"finding {finding.severity.value}",
            aria_label=f"Finding {finding.id}",
        )
    names = {**finding.names}
    subject = [element("li", element("b", key), " ", _value(value, names)) for key, value in finding.subject.items()]
    return element(
        "article",
        element(
            "header",
            element("h3", element("span", finding.id, class_="id"), " ", finding.title),
            element("p", badge(finding), element("code", finding.rule), class_="tags"),
        ),
        element("p", finding.summary, class_="what"),
        element("ul", *subject, *_facts(finding), class_="facts"),
        cases.of(finding),
        _titled("Why", *_paragraphs((finding.cause,))),
        _evidence(view, finding),
        _titled("What to do", _list(finding.remedy)),
        _titled("Caveats", _list(finding.caveats)),
        _next(finding.next_capture),
        _titled("See also", _list(finding.references)),
        id=finding.id,
        class_=f"finding {finding.severity.value}",
        aria_label=f"Finding {finding.id}",
    )


def _titled(heading: str, *children: Child) -> Element | None:
    told = [one for one in children if one is not None]
    return element("div", element("h4", heading), *told, class_="part") if told else None


def _paragraphs(texts: Sequence[str]) -> list[Child]:
    return [element("p", *linked(text)) for text in texts if text]


def _list(texts: Sequence[str]) -> Element | None:
    if not texts:
        return None
    if len(texts) == 1:
        return element("p", *linked(texts[0]))
    return element("ul", *(element("li", *linked(text)) for text in texts))


def _facts(finding: Finding) -> list[Element]:
    facts = [
        element("li", element("b", words), " ", element("a", text, href=f"#{text}") if key == "because" else text)
        for key, value in finding.facts.items()
        for words, text in (fact_text(key, value),)
    ]
    if finding.folded:
        facts.append(element("li", element("b", "also explains"), " ", ", ".join(finding.folded)))
    return facts


def _value(value: str | list[str], names: dict[str, str]) -> str:
    texts = [value] if isinstance(value, str) else value
    return ", ".join(_named(text, names) for text in texts)


def _named(text: str, names: dict[str, str]) -> str:
    """An endpoint with the name of its address."""
    host = text[1:].split("]")[0] if text.startswith("[") else text.rsplit(":", 1)[0] if text.count(":") == 1 else text
    return f"{text} ({names[host]})" if host in names else text


def _evidence(view: View, finding: Finding) -> Element:
    head = element("tr", *(element("th", name, scope="col") for name in ("Capture", "Frame", "Time (UTC)", "Shows")))
    rows = [
        element(
            "tr",
            element("td", view.captures.get(item.capture, "?")),
            element("td", str(item.frame), class_="number"),
            element("td", view.moment(item.time_ns), class_="time"),
            element("td", item.note),
        )
        for item in finding.evidence
    ]

    def table(some: Sequence[Element], caption: str) -> Element:
        made = element(
            "table", element("caption", caption, class_="unseen"), element("thead", head), element("tbody", *some)
        )
        return element("div", made, class_="scroll frames", role="region", aria_label=caption, tabindex=0)

    shown, rest = rows[:_FRAMES_OPEN], rows[_FRAMES_OPEN:]
    file = view.evidence.get(finding.id)
    return element(
        "div",
        element("h4", "Evidence"),
        element("p", "These frames alone: ", element("a", file, href=file)) if file else None,
        table(shown, f"Frames that prove {finding.id}"),
        element(
            "details",
            element("summary", f"{len(rest)} more frames"),
            table(rest, f"More frames that prove {finding.id}"),
        )
        if rest
        else None,
        _command("Wireshark filter", finding.filter),
        element("p", "The filter is cut: it does not select every cited frame.")
        if finding.filter and not finding.filter_complete
        else None,
        class_="part evidence",
    )


def _next(text: str | None) -> Element | None:
    """Where to capture next: the command alone can be copied, the place where to run it stands beside it."""
    command, _, place = (text or "").partition("  (")
    return _command("Where to capture next", command, place.removesuffix(")"))


def _command(heading: str, text: str | None, remark: str = "") -> Element | None:
    """Something to paste elsewhere, with a button that copies it."""
    if not text:
        return None
    return element(
        "div",
        element("h4", heading),
        element(
            "div",
            element("code", text, tabindex=0),
            element("button", "Copy", type="button", class_="copy", hidden=True, aria_label=f"Copy: {heading}"),
            class_="command",
        ),
        element("p", remark, class_="hint") if remark else None,
        class_="part",
    )
