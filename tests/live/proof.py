"""Since when the frames of some files prove a finding: the river run over what was there at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from flowscope.analysis import Analysis, follow
from flowscope.capture.core import Frames
from flowscope.capture.file import read_captures
from flowscope.given import Given
from flowscope.settings import Settings
from tests.lab import files

_STEP_S, _FINE_S = 0.4, 0.05
_LONGEST_S = 12.0


class Prefixes:
    """The captures of one run as they were at a moment: every frame until then, and the knowledge that no other came.

    Args:
        paths: the written files.
        topology: a topology file, when the run was told one.
        rules: a file of security rules, when the run was told one.
        folder: for a copy of the files' beginnings.
    """

    def __init__(self, paths: Sequence[Path], topology: Path | None, rules: Path | None, folder: Path) -> None:
        self._captures = [(path, files.read(path)) for path in paths]
        self._settings = Settings(nsg=() if rules is None else (str(rules),))
        self._given = Given.read(None if topology is None else str(topology), self._settings)
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._known: dict[int, set[str]] = {}

    def keys(self, until_s: float) -> set[str]:
        """Keys of the findings that hold at a moment."""
        until_ns = int(until_s * 1e9)
        if until_ns not in self._known:
            self._known[until_ns] = {finding.key for finding in self._analysis(until_ns).findings}
        return self._known[until_ns]

    def proven_at(self, key: str, told_s: float) -> float | None:
        """Since when, without a break, a finding that was told at a moment is proven; None when it is not even then."""
        if key not in self.keys(told_s):
            return None
        holds = told_s
        while key in self.keys(holds - _STEP_S):
            holds -= _STEP_S
            if told_s - holds > _LONGEST_S:
                return holds
        lacks = holds - _STEP_S
        while holds - lacks > _FINE_S:
            middle = (holds + lacks) / 2
            if key in self.keys(middle):
                holds = middle
            else:
                lacks = middle
        return holds

    def _analysis(self, until_ns: int) -> Analysis:
        paths = []
        for path, capture in self._captures:
            cut = [frame for frame in capture.frames if frame.ns <= until_ns]
            part = files.Capture(capture.links, capture.names, capture.snap, cut)
            paths.append(str(self._folder / path.name))
            files.write_ng(Path(paths[-1]), part)
        tables, read = read_captures(paths, self._settings)
        frames = Frames.of(tables)
        points = frames.points.with_columns(until_ns=pl.lit(until_ns, pl.Int64))
        whole = Frames(frames.flows, frames.events, frames.messages, frames.issues, frames.addresses, points)
        return follow(whole, read, self._given, self._settings)
