"""Spoiled copies of a run by name: what `degrade` can do to its files, as the lab's tests ask flowscope about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab import degrade

Spoil = Callable[[Path, dict[str, Any]], list[str]]
"""Spoils the files of a copied run, given its truth; returns those to analyse."""


def names(told: dict[str, Any]) -> list[str]:
    """The capture files of a run."""
    return list(dict.fromkeys(row["file"] for row in told["captures"]))


def every(*changes: degrade.Change, form: str | None = None) -> Spoil:
    """Change all files."""

    def spoil(folder: Path, told: dict[str, Any]) -> list[str]:
        return [degrade.rewrite(folder / name, *changes, form=form).name for name in names(told)]

    return spoil


def late(folder: Path, told: dict[str, Any]) -> list[str]:
    """All captures begin when half of the calls have."""
    calls = told["connections"]
    return every(degrade.since(calls[len(calls) // 2]["t_syn"]))(folder, told)


def other_clock(folder: Path, told: dict[str, Any]) -> list[str]:
    """The last point's clock is wrong, and drifts."""
    degrade.rewrite(folder / names(told)[-1], degrade.shift_clock(2.5, 50))
    return names(told)


def cut_short(folder: Path, told: dict[str, Any]) -> list[str]:
    """The last file ends inside a record."""
    degrade.cut_file(folder / names(told)[-1], 0.6)
    return names(told)


def without(number: int) -> Spoil:
    """One file is missing."""

    def spoil(_: Path, told: dict[str, Any]) -> list[str]:
        return [name for at, name in enumerate(names(told)) if at != number]

    return spoil


WORSE: dict[str, Spoil] = {
    "loss-1%": every(degrade.drop_share(0.01, 7)),
    "loss-10%": every(degrade.drop_share(0.1, 7)),
    "reordered": every(degrade.reorder(0.2, 7)),
    "doubled": every(degrade.duplicate(0.3, 7)),
    "snap-96": every(degrade.cut_to(96)),
    "snap-60": every(degrade.cut_to(60)),
    "late": late,
    "apart": every(degrade.between(0.5, 1)),
    "other-clock": other_clock,
    "cut-short": cut_short,
}
FORMS = {form: every(form=form) for form in ("us-be", "ns", "ng", "ng-be")}


def of(told: dict[str, Any]) -> dict[str, Spoil]:
    """Every spoiled copy of a run that is asked about."""
    missing = {f"without-{number}": without(number) for number in range(len(names(told)))}
    return {**WORSE, **FORMS, **missing}
