"""A copy of a whole capture with the findings as packet comments, so that Wireshark shows them in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from flowscope.capture.core import new_annotator
from flowscope.evidence.files import finding_comments, finding_label, section_comment
from flowscope.evidence.frames import unchanged

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Annotated:
    """What became of the comments."""

    frames: int
    """Frames that have comments now."""
    without_room: int
    """Frames that should have some: simple packet blocks have no room for them."""


def annotate(analysis: Analysis, out: BinaryIO) -> Annotated:
    """Copies the first capture of an analysis as pcapng, with comments on the frames that findings cite.

    Blocks that are no packets, and all options, stay as they are. A pcap file becomes a pcapng file.

    Raises:
        CaptureError: the capture cannot be read again as it was.
    """
    capture = analysis.captures[0]
    comments = {number: texts for (at, number), texts in finding_comments(analysis).items() if at == capture.id}
    titles = [f"{finding_label(one)}: {one.title}" for one in analysis.findings]
    annotator = new_annotator(comments, section_comment(analysis, "findings are packet comments", *titles))
    with open(unchanged(capture), "rb", buffering=0) as file:
        while data := file.read(_CHUNK):
            out.write(annotator.feed(data))
    out.write(annotator.finish())
    unchanged(capture)
    return Annotated(annotator.written, len(comments) - annotator.written)
