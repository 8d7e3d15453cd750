"""A topology as JSON: the tables of the topology file, and the reasons and guesses beside them."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, BinaryIO

from flowscope.report import document
from flowscope.report.safe_text import safe_line
from flowscope.report.topology_toml import known_topology, topology_lines

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.report.look import Look


def render(analysis: Analysis, out: BinaryIO, look: Look) -> None:
    """Writes the topology of :mod:`flowscope.report.topology_toml` as one JSON document."""
    _, found = known_topology(analysis)
    reasons: list[dict[str, Any]] = [
        {"part": part, "name": safe_line(name), "reason": safe_line(reason)}
        for (part, name), reason in found.reasons.items()
    ]
    guesses = [
        {"part": part, "name": safe_line(name), "key": one.key, "value": one.value, "reason": safe_line(one.reason)}
        for (part, name), listed in found.guesses.items()
        for one in listed
    ]
    whole = {
        **document.head(),
        # The tables are those of the file, by construction.
        "topology": tomllib.loads("\n".join(topology_lines(analysis))),
        "reasons": reasons,
        "guesses": guesses,
        "remarks": list(found.remarks),
        "problems": list(analysis.problems),
    }
    out.write(json.dumps(whole, ensure_ascii=True, allow_nan=False, indent=1).encode() + b"\n")
