"""The options of a run that change its result, and the files they name."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING

from flowscope.report.safe_text import safe_unicode
from flowscope.report.times import rfc3339_text

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

#: Names of settings that differ from those of their options.
_NAMES = {
    "points": "point",
    "from_ns": "from",
    "to_ns": "to",
    "max_frames": "c",
    "display_filter": "Y",
    "flow_logs": "flow-log",
}
#: Changes what is said about the inputs, not what is found in them.
_SILENT = frozenset({"hash"})

Value = str | int | float | bool | list[str]


def options(analysis: Analysis) -> dict[str, Value]:
    """Options by name, sorted; those that have their default are left out."""
    settings, found = analysis.settings, {}
    topologies = tuple(one.path for one in analysis.given if one.option == "topology")
    if topologies:
        found["topology"] = _value("topology", topologies[0] if len(topologies) == 1 else topologies)
    for one in fields(settings):
        value = getattr(settings, one.name)
        if one.name not in _SILENT and value != one.default and value is not None:
            found[_NAMES.get(one.name, one.name).replace("_", "-")] = _value(one.name, value)
    return dict(sorted(found.items()))


def option_lines(analysis: Analysis) -> list[str]:
    """The options as one line for people; none when all have their defaults."""
    given = options(analysis)
    texts = [f"{name}={','.join(value) if isinstance(value, list) else value}" for name, value in given.items()]
    return [f"options: {' '.join(texts)}"] if texts else []


def option_files(analysis: Analysis) -> list[str]:
    """Files that options name: topology, profile and the like, sorted."""
    named = [one.path for one in analysis.given]
    for one in fields(analysis.settings):
        value = getattr(analysis.settings, one.name)
        named += [value] if isinstance(value, str) else []
        named += [item for item in value if isinstance(item, str)] if isinstance(value, tuple) else []
    return sorted({path for path in named if path and os.path.isfile(path)})


def _value(name: str, value: object) -> Value:
    if name in ("from_ns", "to_ns") and isinstance(value, int):
        return rfc3339_text(value) or ""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, frozenset):
        return sorted(safe_unicode(str(one)) for one in value)
    if isinstance(value, tuple):
        return ["=".join(map(_text, one)) if isinstance(one, tuple) else _text(one) for one in value]
    return _text(value)


def _text(value: object) -> str:
    return safe_unicode(str(value))
