"""The view of ``flowscope live`` on a terminal: traffic, findings, probes, SNAT ports, what happened to the capture."""

from __future__ import annotations

import logging
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from flowscope.capture.rings import point_name
from flowscope.cli.live_lines import Show
from flowscope.cli.options import Request
from flowscope.cli.progress import tell
from flowscope.report.layout import columns, display_width, shortened
from flowscope.report.rows import row_slices
from flowscope.report.safe_text import safe_line
from flowscope.report.times import clock, span

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.live.merging import Update
    from flowscope.live.reading import Notice
    from flowscope.live.watch import Status, Turn, Watch

_REFRESH_S = 0.25
_RATE_S = 3.0
_WITHDRAWN_S = 15.0
_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
#: A title that has less room beside the rest of its line goes below it.
_TITLE = 60
Line = tuple[str, str]
"""Text, already safe, and the style it is shown in; a finding may take two lines."""


class Screen(Show):
    """Redraws the whole terminal a few times a second; the report follows on the normal screen."""

    def __init__(self, request: Request, console: Console | None = None) -> None:
        super().__init__(request)
        self._console = console or Console(no_color=not request.look.colour, highlight=False)
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._notices: deque[Notice] = deque(maxlen=50)
        self._rates: deque[tuple[float, int, int]] = deque()
        self._withdrawn: list[tuple[float, Update]] = []
        self._analysis: Analysis | None = None
        self._drawn_at = 0.0
        self._state = "running"

    def __enter__(self) -> Screen:
        logging.getLogger("flowscope").setLevel(logging.CRITICAL)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        logging.getLogger("flowscope").setLevel(logging.WARNING)
        for notice in self._notices:
            tell(notice.text)

    def notice(self, notice: Notice) -> None:
        """Kept for the screen, and said again when it is gone."""
        self._notices.append(notice)

    def stopping(self) -> None:
        """The capture is being ended."""
        self._state = "stopping: reading the rest"
        self._drawn_at = 0.0

    def turn(self, watch: Watch, turn: Turn) -> None:
        """Takes what one turn brought, and draws."""
        super().turn(watch, turn)
        now = time.monotonic()
        self._withdrawn += [(now, update) for update in turn.updates if update.change == "withdrawn"]
        self._withdrawn = [(at, update) for at, update in self._withdrawn if now - at < _WITHDRAWN_S]
        if turn.analysis is not None:
            self._analysis = turn.analysis
        if now - self._drawn_at >= _REFRESH_S:
            self._drawn_at = now
            status = watch.status
            self._rates.append((now, status.frames, status.bytes))
            while len(self._rates) > 2 and now - self._rates[0][0] > _RATE_S:
                self._rates.popleft()
            self._live.update(self._view(watch, status), refresh=True)

    # What is shown ------------------------------------------------------------------------------------------

    def _view(self, watch: Watch, status: Status) -> Group:
        width, height = self._console.size
        head = self._head(watch, status)
        parts = [
            section
            for section in (self._findings(watch), self._probes(width), self._snat(), self._happened())
            if len(section) > 1
        ]
        foot: Line = ("Ctrl-C stops and reports; twice ends at once", "dim")
        lines = [*head, *_fitted(parts, height - len(head) - 1)]
        lines = [*lines[: height - 1], *[("", "")] * (height - 1 - len(lines)), foot]
        return Group(
            *(Text(_cut(text, width), style=style, no_wrap=True, end="\n") for text, style in lines[:-1]),
            Text(_cut(foot[0], width), style=foot[1], no_wrap=True, end=""),
        )

    def _head(self, watch: Watch, status: Status) -> list[Line]:
        began, ended = self._rates[0], self._rates[-1]
        passed = max(ended[0] - began[0], 1e-9)
        frames_s, bits_s = (ended[1] - began[1]) / passed, (ended[2] - began[2]) * 8 / passed
        if ended is began:
            frames_s = bits_s = 0.0
        names = ", ".join(safe_line(_place(source.name, watch)) for source in watch.sources)
        lasted = span(max(0, time.time_ns() - status.started_ns))
        lost = "lost not known yet" if status.dropped is None else f"{status.dropped:,} lost"
        held = f"{status.flows:,} flows held"
        behind = f"  {status.behind_bytes / 1e6:,.1f} MB behind" if status.behind_bytes > 1 << 18 else ""
        style = "bold red" if status.dropped else ""
        lines: list[Line] = [
            (f"flowscope live  {names}  {lasted}  {self._state}", "bold"),
            (f"{frames_s:,.0f} frames/s  {_bits(bits_s)}  {status.frames:,} frames  {held}  {lost}{behind}", style),
        ]
        if self._analysis is not None and self._analysis.paths.height:
            counts = self._analysis.paths["outcome"].value_counts(sort=True).iter_rows()
            lines.append(
                (f"{self._analysis.paths.height:,} paths: " + ", ".join(f"{n:,} {name}" for name, n in counts), "")
            )
        return [*lines, ("", "")]

    def _findings(self, watch: Watch) -> list[Line]:
        found = watch.merging.findings
        now = time.time_ns()
        lines: list[Line] = [("Findings" if found else "Findings: none so far", "bold")]
        heads = [
            (
                one.severity.value.upper(),
                one.verdict.value,
                safe_line(one.rule),
                f"{one.count:,} x",
                span(max(0, now - watch.merging.since(one.key))),
            )
            for one in found
        ]
        shown = columns(heads, frozenset({3, 4}))
        room = self._console.width - max(map(display_width, shown), default=0) - 2
        for head, one in zip(shown, found, strict=True):
            title = safe_line(one.title)
            # Beside its head where both fit, else below it.
            if room >= _TITLE:
                text = f"{head}{' ' * (self._console.width - room - display_width(head))}{shortened(title, room)}"
            else:
                text = f"{head}\n  {shortened(title, self._console.width - 2)}"
            lines.append((text, _STYLES[one.severity.value]))
        lines += [(f"withdrawn: {safe_line(update.finding.title)}", "dim") for _, update in self._withdrawn]
        return lines if len(lines) > 1 else [*lines, ("", "")]

    def _probes(self, width: int) -> list[Line]:
        rows = self._rows("probes")
        table, reasons = [], []
        for row in rows:
            last = row["timeline"][-1] if row["timeline"] else None
            state = last["state"] if last else "not known"
            reasons.append(safe_line(f"  ({last['reason']})") if last and last["reason"] else "")
            latency = f"{row['latency_ms']:.1f} ms" if row["latency_ms"] is not None else ""
            cells = (
                row["name"] or row["member"],
                row["source"],
                state,
                f"{row['succeeded']}/{row['sent']} good",
                latency,
            )
            table.append(tuple(safe_line(str(cell)) for cell in cells))
        # A reason that has no room is left out: half a word says nothing.
        lines = [
            line + reason if display_width(line + reason) <= width else line
            for line, reason in zip(columns(table, frozenset({3, 4})), reasons, strict=True)
        ]
        return [("Probes", "bold"), *((line, "red" if " down " in line else "") for line in lines)]

    def _snat(self) -> list[Line]:
        table = []
        for row in self._rows("snat"):
            peak, there = row["ports_peak"], row["ports_available"]
            refused = f"{row['refused']:,} refused" if row["refused"] else ""
            use = f"{peak:,} of {there:,} ports" if there else f"{peak:,} ports"
            table.append((safe_line(str(row["address"])), "to " + safe_line(str(row["destination"])), use, refused))
        return [("SNAT ports, peak", "bold"), *((line, "red" if "refused" in line else "") for line in columns(table))]

    def _happened(self) -> list[Line]:
        utc = self._request.look.utc
        lines = [(f"{clock(one.time_ns, utc, 0).rstrip('.')}  {safe_line(one.text)}", "") for one in self._notices]
        return [("What happened", "bold"), *reversed(lines)]

    def _rows(self, what: Any) -> list[dict[str, Any]]:
        if self._analysis is None:
            return []
        try:
            return pl.concat(list(row_slices(self._analysis, what))).head(20).to_dicts()
        except Exception as error:
            logging.getLogger("flowscope").debug("%s cannot be shown: %s", what, error)
            return []


def _fitted(parts: list[list[Line]], room: int) -> list[Line]:
    """The sections in the lines there are: each its heading and two lines at least, the first as much as is left."""
    wanted = [sum(map(_height, part)) + 1 for part in parts]
    least = [min(want, 4) for want in wanted]
    spare = room - sum(least)
    lines: list[Line] = []
    for part, want, low in zip(parts, wanted, least, strict=True):
        given = low + max(0, min(spare, want - low))
        spare -= given - low
        body, left = list(part), given - 1
        if given < want:
            fits = [sum(map(_height, part[: at + 1])) <= given - 2 for at in range(len(part))]
            body = [*part[: sum(fits)], (f"... and {len(part) - sum(fits)} more", "dim")]
        lines += [*_lines(body)[: max(left, 0)], ("", "")]
    return lines[: max(room, 0)]


def _height(item: Line) -> int:
    """Lines of an item."""
    return item[0].count("\n") + 1


def _lines(items: list[Line]) -> list[Line]:
    """Items of several lines, line by line."""
    return [(text, style) for item, style in items for text in item.split("\n")]


def _cut(text: str, width: int) -> str:
    while display_width(text) > width:
        text = text[: max(1, len(text) - (display_width(text) - width) - 1)] + "…" if len(text) > 1 else ""
    return text


def _place(source: str, watch: Watch) -> str:
    """What people call the place of a source: its name by ``--point``, else that of the source."""
    return point_name(source, watch.settings.points) or ("stdin" if source == "-" else source)


def _bits(per_second: float) -> str:
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if per_second < 1000:
            return f"{per_second:,.0f} {unit}" if unit == "bit/s" else f"{per_second:,.1f} {unit}"
        per_second /= 1000
    return f"{per_second:,.1f} Gbit/s"
