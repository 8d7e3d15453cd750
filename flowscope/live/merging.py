"""Findings over time: the same key is the same finding, new once, then updated or withdrawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from flowscope.findings import Finding


class Change(StrEnum):
    """What happened to a finding."""

    NEW = "new"
    UPDATED = "updated"
    WITHDRAWN = "withdrawn"
    """Later packets refute it."""


@dataclass(frozen=True, slots=True)
class Update:
    """One change of one finding."""

    change: Change
    finding: Finding
    since_ns: int
    """When it was first told, UTC."""


@dataclass(slots=True)
class _Known:
    finding: Finding
    since_ns: int
    aside: int = 0
    """What it counts of flows that are not held any more."""
    missed: int = 0
    flows: set[int] = field(default_factory=set)
    aged: bool = False
    """Flows it rests on were put aside, so that its absence refutes nothing."""


@dataclass(slots=True)
class _Pending:
    """A finding that one look showed."""

    flows: set[int]
    aside: int = 0


class Merging:
    """Keeps the findings of a run.

    A finding is told when two looks in a row show it on a common flow: between two points, or two halves of a second,
    there is always a connection of which one side is not here yet. It is withdrawn when two looks in a row lack it.

    Args:
        most: so many are kept; of more, the mildest and oldest whose flows have left are dropped, and counted.
    """

    def __init__(self, most: int = 5_000) -> None:
        self._most = most
        self.dropped = 0
        """Findings that were told and are not kept any more."""
        self._known: dict[str, _Known] = {}
        self._pending: dict[str, _Pending] = {}

    @property
    def findings(self) -> list[Finding]:
        """What holds now, worst first."""
        held = (one.finding for one in self._known.values())
        return sorted(held, key=lambda one: (one.severity.rank, one.verdict.rank, -one.count, one.key))

    @property
    def pending(self) -> bool:
        """The last look found something that a second one has to confirm."""
        return bool(self._pending)

    @property
    def aged(self) -> list[Finding]:
        """Those that rest on flows that are not held any more."""
        return [one.finding for one in self._known.values() if one.aged]

    def since(self, key: str) -> int:
        """When a finding was first told."""
        return self._known[key].since_ns

    def update(self, found: Sequence[Finding], now_ns: int) -> list[Update]:
        """Takes what one look shows; flows are the core's numbers."""
        updates: list[Update] = []
        pending: dict[str, _Pending] = {}
        for finding in found:
            flows = set(finding.flows)
            known = self._known.get(finding.key)
            if known is None:
                before = self._pending.get(finding.key)
                if before is None or (flows and before.flows and not flows & before.flows):
                    pending[finding.key] = _Pending(flows)
                    continue
                finding = replace(finding, count=finding.count + before.aside)
                self._known[finding.key] = _Known(finding, now_ns, before.aside, flows=flows)
                updates.append(Update(Change.NEW, finding, now_ns))
                continue
            finding = replace(finding, count=finding.count + known.aside)
            told = known.finding
            known.finding, known.missed, known.flows = finding, 0, flows
            if (told.count, told.verdict, told.severity, told.title) != (
                finding.count, finding.verdict, finding.severity, finding.title
            ):  # fmt: skip
                updates.append(Update(Change.UPDATED, finding, known.since_ns))
        self._pending = pending
        updates += self._missing({finding.key for finding in found})
        self._make_room()
        return updates

    def put_aside(self, flows: Iterable[int], counts: dict[str, int]) -> None:
        """Flows leave the window: findings that rest on them stay.

        Args:
            flows: the core's numbers.
            counts: how many of the paths of a finding, by its key, leave.
        """
        gone = set(flows)
        for key, pending in self._pending.items():
            if pending.flows & gone:
                pending.flows -= gone
                pending.aside += counts.get(key, 0)
        for key, known in self._known.items():
            if known.flows & gone:
                known.aged = True
                known.flows -= gone
                known.aside += counts.get(key, 0)

    def _make_room(self) -> None:
        """Drops a tenth more than there is no room for, so that it does not happen at every look."""
        over = len(self._known) - self._most
        if over <= 0:
            return
        aged = [(-one.finding.severity.rank, one.since_ns, key) for key, one in self._known.items() if one.aged]
        for _, _, key in sorted(aged)[: over + self._most // 10]:
            del self._known[key]
            self.dropped += 1

    def end(self, report: Iterable[Finding]) -> list[Update]:
        """What was told and is not in the report is withdrawn: the files as a whole do not bear it out.

        Such is what rests on a silence that no file states: a pcap does not say until when it was captured.
        """
        held = {finding.key for finding in report}
        caveat = "The written files, read as a whole, do not bear it out: it is not in the report."
        return [
            Update(Change.WITHDRAWN, replace(one.finding, caveats=(*one.finding.caveats, caveat)), one.since_ns)
            for key, one in self._known.items()
            if key not in held
        ]

    def _missing(self, shown: set[str]) -> list[Update]:
        updates = []
        for key, known in list(self._known.items()):
            if key in shown or known.aged:
                continue
            known.missed += 1
            if known.missed > 1:
                del self._known[key]
                updates.append(Update(Change.WITHDRAWN, known.finding, known.since_ns))
        return updates
