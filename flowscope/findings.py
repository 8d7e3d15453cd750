"""What a rule says: findings, their evidence, how bad they are and how sure.

Findings are few, so they are frozen dataclasses. The names of the fields are those of the JSON report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

Fact = str | int | float | bool | None


class Severity(StrEnum):
    """How much a finding hurts."""

    ERROR = "error"
    """Traffic fails."""
    WARNING = "warning"
    """It will fail, or it hurts."""
    INFO = "info"
    """Worth knowing; says what the captures cannot show."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


class Verdict(StrEnum):
    """How sure a finding is."""

    CONFIRMED = "confirmed"
    """The frames alone prove it."""
    LIKELY = "likely"
    """The frames fit it, and one named look-alike fits too."""
    UNDECIDED = "undecided"
    """A look-alike could not be excluded by what was captured."""

    @property
    def rank(self) -> int:
        """0 for the surest."""
        return list(Verdict).index(self)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One frame that helps to prove a finding."""

    capture: int
    """Capture id, in the order given."""
    frame: int
    """Frame number within its file, from 1, as Wireshark numbers it."""
    time_ns: int
    """UTC, nanoseconds since the epoch, on the clock of its point."""
    note: str
    """What this frame shows, in a few words."""
    flow: int | None = None
    """Number of the flow the frame belongs to, None when it was not followed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of one subject, with everything needed to check it without trusting flowscope."""

    rule: str
    severity: Severity
    verdict: Verdict
    title: str
    summary: str
    subject: Mapping[str, str | list[str]]
    """Under the subject keys of the contract only: ``member``, ``frontend``, ``host``, ..."""
    count: int
    """Paths (or probes, or frames) it explains."""
    evidence: tuple[Evidence, ...]
    flows: tuple[int, ...] = ()
    paths: tuple[int, ...] = ()
    folded: tuple[str, ...] = ()
    """Names of rules whose findings were consequences of this one."""
    facts: Mapping[str, Fact] = field(default_factory=lambda: MappingProxyType({}))
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Address text to the topology's name for it."""
    filter: str = ""
    """Wireshark display filter that selects the cited frames and no frame of another flow."""
    filter_complete: bool = True
    cause: str = ""
    remedy: tuple[str, ...] = ()
    next_capture: str | None = None
    caveats: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    id: str = ""
    """``F1``, ``F2``, ...; set when the report is ordered."""
    lasting: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the key says in place of a subject that is a number of one run (``path``): the same in every run."""

    @property
    def key(self) -> str:
        """Rule and subject: the same in every run, in live updates and when files come in another order."""
        parts = [self.rule]
        for name, value in {**self.subject, **self.lasting}.items():
            parts.append(f"{name}={value if isinstance(value, str) else ','.join(value)}")
        return " ".join(parts)

    def _repr_html_(self) -> str:
        """The finding as a notebook shows it."""
        from flowscope.report.html.notebook import finding_fragment

        return finding_fragment(self)
