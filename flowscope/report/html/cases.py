"""Which paths a finding's ladders show: those that it cites, and one that worked, for comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from flowscope.nat.places import places
from flowscope.report.html.ladder import ladder
from flowscope.report.html.packets import packets
from flowscope.report.html.route import route
from flowscope.report.markup import Element, element

if TYPE_CHECKING:
    from flowscope.findings import Finding
    from flowscope.report.html.view import View

_MOST_FINDINGS = 40
"""Findings that get ladders; a report with more of them is read by its tables."""
_MOST_PATHS = 3
_SIBLINGS = 20
_ENDINGS = {
    "established": "The handshake was completed.",
    "reset": "Established, then reset before both sides had closed.",
    "idle-closed": "Established; then the translator forgot the connection.",
    "refused": "Refused: the SYN was answered by a RST.",
    "rejected": "Rejected: the SYN was answered by an ICMP error.",
    "half-open": "The SYN was answered, and the answer never acknowledged.",
    "unanswered": "Unanswered: nothing came back.",
    "unknown": "The captures hold no handshake of this connection.",
}


@dataclass
class Cases:
    """Draws the ladders of findings."""

    view: View
    explained: bool = False
    """The first drawing says how to read it."""

    @cached_property
    def _places(self) -> Any:
        analysis = self.view.analysis
        return places(analysis.flows, analysis.points, analysis.addresses, analysis.topology)

    @cached_property
    def _errors_ns(self) -> dict[int, int]:
        return {point.number: point.clock_error_ns or 0 for point in self.view.analysis.points}

    def of(self, finding: Finding) -> Element | None:
        """The ladders of one finding; None when it is about no path."""
        if int(finding.id.lstrip("F") or 0) > _MOST_FINDINGS:
            return None
        drawn = list(self._drawn(finding))
        if not drawn:
            return None
        first, rest = drawn[0], drawn[1:]
        children: list[Element | None] = [element("h4", "What the packets did"), first[1]]
        if not self.explained:
            children.append(_how_to_read())
        self.explained = True
        children += [element("details", element("summary", label), drawing) for label, drawing in rest]
        return element("div", *children, class_="part ladders")

    def _drawn(self, finding: Finding) -> Iterator[tuple[str, Element]]:
        cited = {(item.capture, item.frame) for item in finding.evidence}
        chosen = self._cited_paths(finding)
        for path in chosen:
            drawing = self._draw(path, cited)
            if drawing is not None:
                yield f"Another one of them: {self._called(path)}", drawing
        worked = self._worked(chosen[0], set(finding.paths)) if chosen else None
        drawing = self._draw(worked, cited) if worked else None
        if worked and drawing is not None:
            yield f"For comparison, one that worked: {self._called(worked)}", drawing

    def _cited_paths(self, finding: Finding) -> list[dict[str, Any]]:
        """Paths of the cited frames, in the order in which they are cited."""
        analysis = self.view.analysis
        flows = list(dict.fromkeys(item.flow for item in finding.evidence if item.flow is not None))
        leg_of = dict(analysis.flows.filter(pl.col("flow").is_in(flows)).select("flow", "leg").iter_rows())
        order = {leg: at for at, leg in reversed(list(enumerate(leg_of[flow] for flow in flows if flow in leg_of)))}
        wanted = analysis.paths.filter(pl.col("legs").list.eval(pl.element().is_in(list(order))).list.any())
        rows = list(wanted.iter_rows(named=True))
        explained = set(finding.paths)
        rows.sort(
            key=lambda row: (
                bool(explained) and row["path"] not in explained,
                min(order[leg] for leg in row["legs"] if leg in order),
                row["path"],
            )
        )
        return rows[:_MOST_PATHS]

    def _siblings(self, path: Mapping[str, Any]) -> pl.DataFrame:
        """Paths that called the same endpoint and were established, this caller's first."""
        paths = self.view.analysis.paths
        called = ("frontend", "frontend_port") if path["frontend"] is not None else ("backend", "backend_port")
        alike = [pl.col(name) == path[name] for name in called]
        if path["frontend"] is None:
            # What failed before its destination was translated called a frontend all the same.
            alike = [
                ((pl.col("backend") == path["backend"]) & (pl.col("backend_port") == path["backend_port"]))
                | ((pl.col("frontend") == path["backend"]) & (pl.col("frontend_port") == path["backend_port"]))
            ]
        return paths.filter(
            pl.col("outcome") == "established", pl.col("protocol") == path["protocol"], *alike
        ).sort((pl.col("client") != path["client"]), "path")  # fmt: skip

    def _worked(self, path: Mapping[str, Any], explained: set[int]) -> dict[str, Any] | None:
        found = self._siblings(path)
        found = found.filter(~pl.col("path").is_in(list(explained)), pl.col("path") != path["path"])
        return next(found.head(1).iter_rows(named=True), None)

    def _usual(self, path: Mapping[str, Any]) -> list[int]:
        """Points that packets pass next when they get further: those of every sibling, and no host's own."""
        if path["outcome"] != "unanswered" or len(path["legs"]) > 1:
            return []
        analysis = self.view.analysis
        siblings = self._siblings(path).filter(pl.col("legs").list.len() > 1).head(_SIBLINGS)
        counts: Counter[int] = Counter()
        for legs in siblings["legs"].to_list():
            flows = [flow for leg in legs[1:] for flow in analysis.legs.filter(pl.col("leg") == leg)["flows"][0]]
            counts.update(set(analysis.flows.filter(pl.col("flow").is_in(flows))["point"].to_list()))
        return sorted(
            point
            for point, number in counts.items()
            if number == siblings.height and point in self._places and not self._places[point].hosts
        )

    def _draw(self, path: Mapping[str, Any], cited: set[tuple[int, int]]) -> Element | None:
        analysis = self.view.analysis
        made = route(self.view, path, self._places, self._usual(path))
        flows = list(made.of_flow)
        events = analysis.events.filter(pl.col("flow").is_in(flows)).iter_rows(named=True)
        seen = analysis.flows.filter(pl.col("flow").is_in(flows))
        isns: list[tuple[int | None, int | None]] = []
        for leg in path["legs"]:
            here = seen.filter(pl.col("leg") == leg)
            own = [next(iter(here[f"{half}_isn"].drop_nulls().to_list()), None) for half in ("fwd", "rev")]
            isns.append((own[0], own[1]))
        found = packets(made, events, isns, self._places, self._errors_ns)
        if not found:
            return None
        ending = _ENDINGS.get(path["outcome"], path["outcome"])
        asked, answered = (any(one.half == half and one.length for one in found) for half in (0, 1))
        if path["outcome"] == "established" and asked and not answered:
            ending = "The handshake was completed, and what was sent then got no answer."
        return ladder(self.view, made, found, cited, f"Packets of {self._called(path)}", ending)

    def _called(self, path: Mapping[str, Any]) -> str:
        client = self.view.endpoint(path["client"], path["client_port"])
        if path["frontend"] is not None:
            return f"path {path['path']}, {client} to {self.view.endpoint(path['frontend'], path['frontend_port'])}"
        return f"path {path['path']}, {client} to {self.view.endpoint(path['backend'], path['backend_port'])}"


def _how_to_read() -> Element:
    return element(
        "p",
        "A vertical line is a place, an arrow a packet, time runs downwards on one corrected clock. ",
        element("b", "#12"),
        " is a frame number of that place's capture, a ringed dot a frame that the finding cites, a dashed line a "
        "place or a way where nobody captured. Bare ACKs are not drawn.",
        class_="hint",
    )
