"""What flowscope says about runs and their spoiled copies, asked while other scenarios still play."""

from __future__ import annotations

import tempfile
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.lab import compare, degrade, health, spoil
from tests.lab.compare import Difference
from tests.lab.degraded_paths import Row, sampled

Key = tuple[Path, str]
PLAIN = ("topology", "blind")


@dataclass(frozen=True)
class Said:
    """A report, as far as the tests ask: how it differs from the truth, its rules, damaged files, members' states."""

    differs: Difference
    rules: set[str]
    damaged: list[str]
    shifts: list[health.Shift] = field(default_factory=list)


class Reports:
    """Asks two at a time, and judges degraded copies beside them; each question once."""

    def __init__(self, exe: str) -> None:
        self.exe, self.pool = exe, ThreadPoolExecutor(2)
        self.asked: dict[Key, Future[Said]] = {}
        # Decoding is Python: threads would wait for one another. Spawned, for polars' threads do not survive a fork.
        self.workers = ProcessPoolExecutor(1, get_context("spawn"))
        self.judged: dict[Path, Future[list[Row]]] = {}

    def ask(self, folder: Path, *, spoiled: bool) -> None:
        """Ask about a run with its topology and blind, and about its spoiled copies."""
        for how in (*PLAIN, *(spoil.of(compare.truth(folder)) if spoiled else ())):
            self.asked[folder, how] = self.pool.submit(self._answer, folder, how)

    def said(self, folder: Path, how: str) -> Said:
        """The answer, waited for."""
        return self.asked[folder, how].result()

    def degrade(self, folder: Path, seed: int) -> None:
        """Ask how degraded copies of a run are judged."""
        self.judged[folder] = self.workers.submit(sampled, folder, seed)

    def degraded(self, folder: Path, seed: int) -> list[Row]:
        """The answer, waited for."""
        if folder not in self.judged:
            self.degrade(folder, seed)
        return self.judged[folder].result()

    def close(self) -> None:
        """Ask no more."""
        self.pool.shutdown(cancel_futures=True)
        self.workers.shutdown(cancel_futures=True)

    def _answer(self, folder: Path, how: str) -> Said:
        told = compare.truth(folder)
        if how in PLAIN:
            report = compare.analyze(self.exe, folder, blind=how == "blind")
            return replace(said(told, report), shifts=health.of(folder, report))
        with tempfile.TemporaryDirectory(prefix="flowscope-spoiled-") as top:
            copy = degrade.copy(folder, Path(top) / "run")
            captures = spoil.of(told)[how](copy, told)
            return said(told, compare.analyze(self.exe, copy, captures=captures))


def said(told: dict[str, Any], report: dict[str, Any]) -> Said:
    """A report against a run's truth."""
    rules = {finding["rule"] for finding in report["findings"]}
    damaged = [capture["path"] for capture in report["captures"] if capture["issues"]]
    return Said(compare.differ(told, report), rules, damaged)
