"""How a report is to look; what it says does not depend on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """Choices of the reader."""

    brief: bool = False
    """Leave out the lists of flows and paths."""
    colour: bool = False
    """Mark severities with terminal colours."""
    utc: bool = True
    """Show times as UTC, not as local time."""
    verbose: bool = False
    """Show every point and every frame of evidence."""
    width: int = 100
    """Columns of text."""
