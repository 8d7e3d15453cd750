"""Evidence files: frames of a finding, a flow or a path with what each of them proves, as pcapng.

Interfaces are the points, by name; their descriptions say which capture they were, and that is what a topology given
later goes by. The section's comment says who wrote the file, from what and with which options.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from flowscope.capture.points import Origin, Point
from flowscope.evidence.choice import Choice, Chooser
from flowscope.evidence.frames import Frame, Wanted, read_frames
from flowscope.evidence.options import option_lines
from flowscope.evidence.pcapng import PcapngWriter
from flowscope.report.safe_text import safe_line, safe_unicode

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.findings import Finding

Told = Callable[[str], None]

#: The core takes so much off the end that a file states: frames of the last moment may not have been delivered.
_UNDELIVERED_NS = 1_000_000_000

#: Evidence files that are written at the same time.
_AT_ONCE = 100


class EvidenceFile:
    """One file that is being written.

    Args:
        analysis: what the frames are from.
        out: where to.
        title: first line of the section's comment.
        choice: what belongs into it; None for every frame.
        label: begins each frame's comment, the finding's id and rule.
        told: gets a heading for each frame that is written.
    """

    def __init__(
        self,
        analysis: Analysis,
        out: BinaryIO,
        title: str,
        choice: Choice | None,
        label: str = "",
        told: Told | None = None,
    ) -> None:
        self._told = told
        self._of_flow: Counter[int] = Counter()
        self._numbers: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._analysis, self._choice, self._label = analysis, choice, label
        self._points = {point.number: point for point in analysis.points}
        self._paths = {capture.id: capture.path for capture in analysis.captures}
        self._writer = PcapngWriter(out, f"flowscope {analysis.version}", [section_comment(analysis, title)])
        self.frames = 0

    def offer(self, frame: Frame, comments: Sequence[str] = ()) -> None:
        """Writes a frame when it belongs here, with what it shows and the given comments."""
        own: list[str] = []
        if self._choice is not None:
            notes = self._choice.cited.get((frame.capture, frame.number))
            whys = [why for flow in frame.flows if (why := self._why(flow)) is not None]
            if (notes is None and not whys) or self.frames >= self._choice.cap:
                return
            own = [self._comment(text, frame) for text in notes or whys[:1]]
        point = self._points[frame.point]
        interface = self._writer.interface(frame.point, point.link_type, safe_unicode(point.name), self._origin(point))
        self._numbers[frame.point] = interface
        self._ends[frame.point] = max(frame.time_ns, self._ends.get(frame.point, frame.time_ns))
        self._writer.packet(interface, frame.time_ns, frame.wire_length, frame.data, [*own, *comments])
        self.frames += 1
        if self._told is not None:
            place = f"Frame {frame.number} of {self._paths[frame.capture]}, point {point.name}"
            self._told(": ".join([place, *own, *comments]))

    def close(self) -> None:
        """Writes what the captures themselves said of their end and of frames they lost."""
        for number in self._numbers:
            point = self._points[number]
            if point.until_ns is not None or point.dropped:
                end_ns = self._ends[number] if point.until_ns is None else point.until_ns + _UNDELIVERED_NS
                self._writer.statistics(self._numbers[number], end_ns, point.dropped or None)

    def _why(self, flow: int) -> str | None:
        """Why a frame of this flow belongs here; None when it does not, or no more of them do."""
        assert self._choice is not None
        self._of_flow[flow] += 1
        return self._choice.flows.get(flow) if self._of_flow[flow] <= self._choice.most_of(flow) else None

    def _comment(self, text: str, frame: Frame) -> str:
        label = f"{self._label}: " if self._label else ""
        return f"{label}{safe_line(text)} (frame {frame.number} of {safe_line(self._paths[frame.capture])})"

    def _origin(self, point: Point) -> str:
        if point.origin is not None:
            return safe_unicode(point.origin.description())
        first = min(point.captures)
        several = sum(1 for other in self._points.values() if first in other.captures) > 1
        interface = point.interface or (str(point.index) if several else None)
        return safe_unicode(Origin(self._paths[first], interface).description())


def write_findings(analysis: Analysis, outs: Mapping[str, BinaryIO], told: Told | None = None) -> dict[str, int]:
    """Writes the evidence of findings, all in one pass over the captures.

    Args:
        analysis: what was found.
        outs: finding id to the stream for its file.
        told: gets a heading for each frame.

    Returns:
        Finding id to the frames of its file.

    Raises:
        CaptureError: a capture cannot be read again as it was.
    """
    chooser = Chooser(analysis)
    found = [finding for finding in analysis.findings if finding.id in outs]
    counts: dict[str, int] = {}
    for start in range(0, len(found), _AT_ONCE):
        files: dict[str, EvidenceFile] = {}
        wanted = Wanted()
        by_flow: dict[int, list[str]] = {}
        by_frame: dict[tuple[int, int], list[str]] = {}
        for finding in found[start : start + _AT_ONCE]:
            choice = chooser.finding(finding)
            files[finding.id] = EvidenceFile(
                analysis, outs[finding.id], finding_title(finding), choice, finding_label(finding), told
            )
            wanted.flows |= choice.flows.keys()
            wanted.frames |= choice.cited.keys()
            for flow in choice.flows:
                wanted.most[flow] = max(wanted.most.get(flow, 0), choice.most_of(flow))
                by_flow.setdefault(flow, []).append(finding.id)
            for place in choice.cited:
                by_frame.setdefault(place, []).append(finding.id)
        for frame in read_frames(analysis, wanted):
            concerned = dict.fromkeys(by_frame.get((frame.capture, frame.number), ()))
            for flow in frame.flows:
                concerned |= dict.fromkeys(by_flow.get(flow, ()))
            for id in concerned:
                files[id].offer(frame)
        for file in files.values():
            file.close()
        counts |= {id: file.frames for id, file in files.items()}
    return counts


def write_choice(analysis: Analysis, out: BinaryIO, title: str, choice: Choice, told: Told | None = None) -> int:
    """Writes the frames of a flow or path; returns how many."""
    file = EvidenceFile(analysis, out, title, choice, told=told)
    for frame in read_frames(analysis, Wanted(set(choice.flows), set(choice.cited))):
        file.offer(frame)
    file.close()
    return file.frames


def write_everything(analysis: Analysis, out: BinaryIO, told: Told | None = None) -> int:
    """Writes every frame that was analysed, those that findings cite with their comments; returns how many."""
    file = EvidenceFile(analysis, out, "every frame that was analysed", None, told=told)
    comments = finding_comments(analysis)
    for frame in read_frames(analysis, Wanted(everything=True)):
        file.offer(frame, comments.get((frame.capture, frame.number), ()))
    file.close()
    return file.frames


def finding_comments(analysis: Analysis) -> dict[tuple[int, int], list[str]]:
    """Capture and frame number to what findings say of that frame: the cited ones, and where each flow begins."""
    found: dict[tuple[int, int], list[str]] = {}
    starts = analysis.flows.select("first_capture", "first_frame")
    for finding in analysis.findings:
        label = finding_label(finding)
        cited = {(item.capture, item.frame) for item in finding.evidence}
        for item in finding.evidence:
            found.setdefault((item.capture, item.frame), []).append(f"{label}: {safe_line(item.note)}")
        for place in starts[list(finding.flows)].unique(maintain_order=True).iter_rows():
            if place not in cited:
                found.setdefault(place, []).append(f"{label}: a connection that this finding explains begins")
    return found


def finding_label(finding: Finding) -> str:
    """``F1 hairpin-mismatch (error, confirmed)``."""
    return f"{finding.id} {finding.rule} ({finding.severity}, {finding.verdict})"


def finding_title(finding: Finding) -> str:
    """The line that says what an evidence file proves."""
    return f"evidence of {finding_label(finding)}: {finding.title}"


def section_comment(analysis: Analysis, *titles: str) -> str:
    """Tool, version, what the file holds, options, and the inputs with their digests, a line each."""
    lines = [f"flowscope {analysis.version}", *titles, *option_lines(analysis)]
    for capture in analysis.captures:
        lines.append(f"input {capture.id}: {capture.path}, SHA-256 {capture.sha256 or 'not computed'}")
    return "\n".join(safe_line(line) for line in lines)


def with_streams(paths: Mapping[str, str], stack: ExitStack) -> dict[str, BinaryIO]:
    """Opens a file for each key."""
    return {key: stack.enter_context(open(path, "wb")) for key, path in paths.items()}
