"""Paths, legs and flows as data for the page's script: by column, and short.

Text that comes again is a number, a column in which one value stands throughout is that value, and whole numbers in
sequence are their first. So ten thousand flows stay far below two megabytes, and a person can still read the block.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import polars as pl

from flowscope.nat.outcomes import failed
from flowscope.report.safe_text import safe_line

if TYPE_CHECKING:
    from flowscope.report.html.view import View

MOST_FLOWS = 20_000
PROTOCOLS = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6"}
_ROLES = ("client", "frontend", "snat", "backend")


def rows(view: View, paths: pl.DataFrame) -> dict[str, Any]:
    """The block: ``paths``, ``legs``, ``flows``, and what their numbers stand for.

    Args:
        view: names what is shown.
        paths: those that the page lists.
    """
    analysis = view.analysis
    base = view.span_ns[0] if view.span_ns else 0
    wanted = paths["legs"].explode().unique().sort()
    legs = analysis.legs.filter(pl.col("leg").is_in(wanted.implode())).sort("leg")
    numbers = legs["flows"].explode().unique().sort()
    flows = analysis.flows.filter(pl.col("flow").is_in(numbers.implode())).head(MOST_FLOWS)
    used = {number for role in _ROLES for number in paths[role].drop_nulls().unique()}
    addresses = sorted(used | set(legs["src"].unique()) | set(legs["dst"].unique()))
    bad = failed(analysis.findings)
    columns = _Columns({number: at for at, number in enumerate(addresses)}, base)
    return {
        "base_ns": str(base),
        "addresses": [view.address(number) for number in addresses],
        "names": {str(at): safe_line(name) for at, number in enumerate(addresses) if (name := view.name(number))},
        "points": {str(number): safe_line(name) for number, name in view.points.items()},
        "captures": {str(number): name for number, name in view.captures.items()},
        "protocols": PROTOCOLS,
        "paths": {
            "count": paths.height,
            **_short(
                {**_paths(paths, legs, columns), "failed": paths.select(bad.cast(pl.UInt8)).to_series().to_list()}
            ),
            "findings": _blamed(view, paths),
        },
        "legs": {"count": legs.height, **_short(_legs(legs, flows, columns))},
        "flows": {"count": flows.height, **_short(_flows(flows, columns))},
        "words": [safe_line(text) for text in columns.words],
    }


def _paths(paths: pl.DataFrame, legs: pl.DataFrame, columns: _Columns) -> dict[str, list[Any]]:
    position = {leg: at for at, leg in enumerate(legs["leg"].to_list())}
    ends = {role: columns.hosts(paths[role]) for role in _ROLES}
    ports = {f"{role}_port": paths[f"{role}_port"].to_list() for role in _ROLES}
    return {
        "id": paths["path"].to_list(),
        "at": columns.since(paths["first_ns"]),
        "protocol": paths["protocol"].to_list(),
        **ends,
        **ports,
        "outcome": columns.text(paths["outcome"]),
        "method": columns.text(paths["method"]),
        "confidence": [round(one * 100) for one in paths["confidence"].to_list()],
        "ambiguous": [int(one) for one in paths["ambiguous"].to_list()],
        "legs": [_alone(position[leg] for leg in some) for some in paths["legs"].to_list()],
    }


def _legs(legs: pl.DataFrame, flows: pl.DataFrame, columns: _Columns) -> dict[str, list[Any]]:
    position = {flow: at for at, flow in enumerate(flows["flow"].to_list())}
    return {
        "src": columns.hosts(legs["src"]),
        "src_port": legs["src_port"].to_list(),
        "dst": columns.hosts(legs["dst"]),
        "dst_port": legs["dst_port"].to_list(),
        "flows": [_alone(position[flow] for flow in some if flow in position) for some in legs["flows"].to_list()],
    }


def _flows(flows: pl.DataFrame, columns: _Columns) -> dict[str, list[Any]]:
    plain = (
        "fwd_packets",
        "rev_packets",
        "fwd_bytes",
        "rev_bytes",
        "first_capture",
        "first_frame",
        "point",
        "protocol",
    )
    return {
        "id": flows["flow"].to_list(),
        "at": columns.since(flows["at_ns"]),
        "lasted": ((flows["last_ns"] - flows["first_ns"]) // 1000).to_list(),
        "state": columns.text(flows["state"]),
        "history": columns.text(flows["history"]),
        **{name: flows[name].to_list() for name in plain},
    }


def _blamed(view: View, paths: pl.DataFrame) -> dict[str, str]:
    """Row of a path -> ids of the findings that explain it."""
    found: dict[int, list[str]] = {}
    for finding in view.analysis.findings:
        for path in finding.paths:
            found.setdefault(path, []).append(finding.id)
    return {str(at): " ".join(found[path]) for at, path in enumerate(paths["path"].to_list()) if path in found}


class _Columns:
    """Turns columns of a table into short lists."""

    def __init__(self, addresses: dict[int, int], base_ns: int) -> None:
        self.addresses, self.base_ns = addresses, base_ns
        self.words: dict[str, int] = {}

    def text(self, series: pl.Series) -> list[int | None]:
        words = self.words
        return [
            None if text is None else words.setdefault(text, len(words)) for text in series.cast(pl.String).to_list()
        ]

    def hosts(self, series: pl.Series) -> list[int | None]:
        return [None if one is None else self.addresses[one] for one in series.to_list()]

    def since(self, times: pl.Series) -> list[int]:
        """Whole microseconds since the first frame."""
        return ((times - self.base_ns) // 1000).to_list()


def _alone(numbers: Iterable[int]) -> list[int] | int:
    """A list; of one number that alone."""
    made = list(numbers)
    return made[0] if len(made) == 1 else made


def _short(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Columns in which one value stands throughout, or whole numbers in sequence, as that alone: ``all``, ``from``."""
    made: dict[str, Any] = {}
    for name, values in columns.items():
        made[name] = values
        if len(values) < 2:
            continue
        first = values[0]
        if all(one == first for one in values):
            made[name] = {"all": first}
        elif isinstance(first, int) and values == list(range(first, first + len(values))):
            made[name] = {"from": first}
    return made
