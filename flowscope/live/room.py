"""How much a window may hold so that looks stay short, and what makes room in it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from flowscope.live.aging import Limits, leaving
from flowscope.live.reading import Notice

if TYPE_CHECKING:
    from flowscope._core import Engine
    from flowscope.analysis import Analysis
    from flowscope.live.held import Held
    from flowscope.live.merging import Merging

#: So many addresses may be known that no flow has any more.
_SPARE_ADDRESSES = 4096
#: A look that takes longer makes findings late: the window shrinks.
_LATE_S = 0.8


class Room:
    """Lets the oldest flows leave a window, its findings and the core together.

    Args:
        limits: of the window.
        held: the window.
        merging: the findings that were told.
        engine: the core, which remembers flows and addresses until it is told to forget them.
    """

    def __init__(self, limits: Limits, held: Held, merging: Merging, engine: Engine) -> None:
        self._limits, self._held, self._merging, self._engine = limits, held, merging, engine
        self._fitting = limits.flows
        self._said = False
        self.speaks_from_ns: int | None = None
        """Flows that ended before this were put aside because there were too many; None when none was."""
        self.put_aside = 0
        """How many were."""

    @property
    def exceeded(self) -> bool:
        """More flows are held than may be."""
        return self._held.count > self._limits.flows

    def took(self, cost_s: float) -> None:
        """Fits the window to how long a look at it took."""
        if cost_s > _LATE_S:
            self._fitting = max(2 * self._limits.few, self._held.count * 3 // 4)
        elif cost_s < _LATE_S / 2:
            self._fitting = self._fitting * 5 // 4

    def make(self, analysis: Analysis, numbers: pl.Series) -> list[Notice]:
        """Lets leave what is old, and what is too much.

        Args:
            analysis: of the window.
            numbers: the core's numbers of its flows.

        Returns:
            What has to be said, the first time that flows leave which are not old.
        """
        now_ns = int(self._held.points["last_ns"].max())  # type: ignore[arg-type]
        self._fitting = min(self._fitting, self._limits.flows)
        gone = leaving(analysis, now_ns, replace(self._limits, flows=self._fitting))
        if gone is None:
            return []
        flows = numbers.gather(gone.flows).to_list()
        counts = {finding.key: len(gone.paths.intersection(finding.paths)) for finding in analysis.findings}
        self._merging.put_aside(flows, counts)
        self._held.put_aside(flows)
        self._engine.forget(gone.closed_ns, gone.silent_ns)
        used, known = self._held.addresses()
        if known > 2 * len(used) + _SPARE_ADDRESSES:
            self._engine.keep_addresses(used)
        self.put_aside += len(flows)
        self.speaks_from_ns = max(self.speaks_from_ns or 0, gone.closed_ns)
        if not gone.forced or self._said:
            return []
        self._said = True
        text = (
            f"more flows at once than can be judged in time ({self._fitting:,}): the oldest leave the window, "
            "their findings stay (--max-flows sets the most)"
        )
        return [Notice("window-full", text, time.time_ns())]
