"""How far the clock of a quiet pipe has gone on: its last timestamp, and the time since that arrived.

The program behind a pipe has a clock of its own, so no time of ours stands for it; only what passes here does. A frame
that is on its way arrives later than it was captured, so the pipe is believed a while less than that. Two things look
like a quiet wire: a writer that holds frames back until a block is full (it leaves the bytes within a record, and is
not believed), and a link that stands still. The second cannot be seen from here, so what rests on it is never certain.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from flowscope.findings import Finding, Verdict

SECOND = 1_000_000_000
#: tcpdump without --immediate-mode is handed its packets once a second; the rest is for the way.
_ON_THE_WAY_NS = 2 * SECOND
#: A writer is known by so many arrivals, the last ones; one that waits for nothing is believed no sooner than this.
_KNOWN_BY, _LEAST_NS = 24, SECOND * 6 // 10

CAVEAT = "It rests on nothing having come through a pipe: a link that stands still looks the same, until it goes on."


@dataclass(slots=True)
class Quiet:
    """One pipe."""

    last_ns: int | None = None
    """Newest timestamp that came."""
    _came_ns: int = 0
    _late_ns: int = 0
    _believed_ns: int | None = None
    _lags: deque[int] = field(default_factory=lambda: deque(maxlen=_KNOWN_BY))
    """How long after their time the last frames came, by two clocks that may stand anywhere."""

    def heard(self, last_ns: int | None, now_ns: int) -> None:
        """Takes what was read.

        Args:
            last_ns: newest timestamp so far.
            now_ns: a monotonic clock of this machine.
        """
        if last_ns is None or last_ns == self.last_ns:
            return
        if self._believed_ns is not None and last_ns < self._believed_ns:
            # It came later than was believed possible: from now on more is.
            self._late_ns += self._believed_ns - last_ns
        self.last_ns, self._came_ns = last_ns, now_ns
        self._lags.append(now_ns - last_ns)

    def until_ns(self, now_ns: int) -> int | None:
        """Until when, by the pipe's clock, everything is here; None when the last frame is all that is known."""
        if self.last_ns is None:
            return None
        until_ns = self.last_ns + now_ns - self._came_ns - self._delay_ns - self._late_ns
        if until_ns <= self.last_ns:
            return None
        self._believed_ns = max(until_ns, self._believed_ns or until_ns)
        return until_ns

    @property
    def _delay_ns(self) -> int:
        """How much later than captured a frame may come: a writer that is handed its packets once a second has brought
        some a second later than others."""
        if len(self._lags) < _KNOWN_BY:
            return _ON_THE_WAY_NS
        return min(_ON_THE_WAY_NS, max(_LEAST_NS, 2 * (max(self._lags) - min(self._lags))))


def doubted(found: Sequence[Finding], without: Iterable[Finding]) -> list[Finding]:
    """The findings of a window in which pipes are quiet; those that rest on that are likely at most, and say why.

    Args:
        found: with the clocks of quiet pipes gone on.
        without: of the same window, up to the last frame of each pipe.
    """
    certain = {one.key for one in without if one.verdict is Verdict.CONFIRMED}
    known = {one.key for one in without}
    told = []
    for finding in found:
        rests = finding.key not in known or (finding.verdict is Verdict.CONFIRMED and finding.key not in certain)
        if rests:
            sure = Verdict.LIKELY if finding.verdict is Verdict.CONFIRMED else finding.verdict
            finding = replace(finding, verdict=sure, caveats=(*finding.caveats, CAVEAT))
        told.append(finding)
    return told
