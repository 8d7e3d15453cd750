"""How the report came about: version, options, topology, rules; everything that changes the result."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from flowscope.report.html.page import section as part
from flowscope.report.html.quality import table
from flowscope.report.markup import Child, Element, element
from flowscope.report.times import rfc3339_text

if TYPE_CHECKING:
    from flowscope.report.html.view import View


_GIVEN = ("Option", "File", "What it is", "Read", "Used", "SHA-256")


def section(view: View) -> Element:
    """Method and settings."""
    analysis = view.analysis
    return part(
        "method",
        "Method and settings",
        element(
            "p",
            "Frames are decoded into flows, one per 5-tuple and point. Flows with the same 5-tuple at several points "
            "are one leg; legs are joined to paths by what survives a translator (initial sequence numbers, tuples, "
            "payloads, headers of proxies), never by file names or ports. Rules read the paths; each finding cites the "
            "frames that prove it.",
        ),
        element(
            "p",
            element("b", "confirmed"), ": the frames alone prove it. ",
            element("b", "likely"), ": the frames fit it, and one named look-alike fits too. ",
            element("b", "undecided"), ": a look-alike could not be excluded by what was captured.",
        ),
        table("Settings", ("Setting", "Value"), _settings(view), frozenset()),
        table("Files given beside the captures", _GIVEN, _given(view), frozenset()) if analysis.given else None,
        element("h3", "Rules that ran, and how many findings each has"),
        element(
            "ul",
            *(
                element("li", element("code", name), f" {count:,}" if count else None)
                for name, count in sorted(analysis.judged.items())
            ),
            class_="rules",
        ),
        short="Method",
    )  # fmt: skip


def _given(view: View) -> list[tuple[Child, ...]]:
    """Security rules, logs, lists, definitions: what each was, and what of it was used."""
    return [
        (
            f"--{one.option}",
            one.path,
            one.kind,
            ", ".join(f"{number:,} {what}" for what, number in one.read.items()),
            "; ".join(one.used) or "nothing",
            one.sha256,
        )
        for one in view.analysis.given
    ]


def _settings(view: View) -> list[tuple[Child, ...]]:
    analysis = view.analysis
    rows: list[tuple[Child, ...]] = [
        ("flowscope", analysis.version),
        ("topology", analysis.topology.file or "none: everything was inferred"),
        ("profile", analysis.profile.name if analysis.profile else "none"),
    ]
    for one in fields(analysis.settings):
        value = getattr(analysis.settings, one.name)
        if value == one.default or one.name in ("profile", "hash"):
            continue
        rows.append((one.name.replace("_", " "), _text(one.name, value)))
    return rows


def _text(name: str, value: object) -> str:
    if name.endswith("_ns") and isinstance(value, int):
        return rfc3339_text(value) or ""
    if name == "points" and isinstance(value, tuple):
        return ", ".join(f"{file}={label}" for file, label in value)
    if isinstance(value, (set, frozenset)):
        return ", ".join(sorted(value))
    return str(value)
