"""The list of scenarios: each is one function that plays on a stage, and one that shows its phenomenon to be real."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Play = Callable[[Any], None]
Check = Callable[[Any, Any], None]


@dataclass
class Scenario:
    """One scenario: how to play it, how to check it, and the world it needs."""

    name: str
    play: Play
    check: Check | None = None
    family: int = 4
    world: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    order: int = 5


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, check: Check | None = None, **more: Any) -> Callable[[Play], Play]:
    """Register a scenario function under a name. ``order`` 0 starts first: the long ones."""

    def register(play: Play) -> Play:
        SCENARIOS[name] = Scenario(name, play, check, **more)
        return play

    return register


def load() -> dict[str, Scenario]:
    """All scenarios of the modules beside this one."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem != "index":
            importlib.import_module(f"tests.lab.scenarios.{path.stem}")
    return SCENARIOS
