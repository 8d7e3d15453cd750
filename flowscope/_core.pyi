"""The Rust core: captured bytes in, Arrow tables out. Columns are described in ``flowscope.tables``."""

from collections.abc import Sequence
from typing import Final, TypedDict

__version__: Final[str]

class CoreError(Exception):
    """The core failed on its own account (a bug): the message is the panic's text."""

class IssueRow(TypedDict):
    kind: str
    frame: int
    offset: int
    detail: str
    count: int

class CaptureSummary(TypedDict):
    format: str | None
    """``pcap``, ``pcapng``; None when the bytes are no capture."""
    compression: str | None
    """``gzip``, ``zstd``, ``xz``, ``lz4`` or None."""
    frames: int
    bytes: int
    """Bytes of the decompressed stream."""
    first_ns: int | None
    last_ns: int | None
    points: list[int]
    """Numbers of the points whose frames the file holds, by first frame."""
    within_record: bool
    """The bytes so far end within a record: who writes them has more."""
    error: str | None
    """Why nothing could be read, when ``format`` is None."""
    issues: list[IssueRow]

class Table:
    """One table of the core; any consumer of the Arrow PyCapsule interface takes it without a copy."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __len__(self) -> int: ...

class Tables:
    """What ``drain`` and ``finish`` return."""

    flows: Table
    events: Table
    messages: Table
    issues: Table
    addresses: Table
    points: Table

class Engine:
    """Follows the flows of any number of captures.

    Args:
        from_ns, to_ns: analyse only frames in this window (UTC, both ends included); others are counted.
        max_frames: read at most this many frames of each capture.
        community_id: fill the ``community_id`` column.
        messages: parse application messages (HTTP, PROXY, TLS hello).
    """

    def __init__(
        self,
        *,
        from_ns: int | None = None,
        to_ns: int | None = None,
        max_frames: int | None = None,
        community_id: bool = False,
        messages: bool = True,
    ) -> None: ...
    def open(self, ring: int) -> int:
        """Announces the next capture and returns its number, from 0. Captures with the same ring number share their
        points."""

    def only(self, capture: int, frames: Sequence[int]) -> None:
        """Analyses only these frames of an open capture, by number in ascending order; the others are counted."""

    def feed(self, capture: int, data: bytes) -> bool:
        """Takes the next bytes of a capture file, compressed or not; False when no more are wanted."""

    def close(self, capture: int) -> CaptureSummary:
        """Ends a capture: a record that is still incomplete becomes a ``truncated-tail`` issue."""

    def summary(self, capture: int) -> CaptureSummary:
        """What an open capture has turned out to be so far."""

    def forget(self, closed_ns: int, silent_ns: int) -> int:
        """Forgets flows that were drained and will hardly change: closed ones without a packet since ``closed_ns``, all
        others since ``silent_ns``. A later packet of the same tuple starts a flow with a new number. Returns how many
        flows are left."""

    def keep_addresses(self, used: Sequence[int]) -> int:
        """Takes back the numbers of all addresses but these, which rows that were drained still carry; they may then
        stand for others. Right after a drain only. Returns how long the address table is."""

    def drain(self) -> Tables:
        """Rows of flows that changed since the last drain, and the events, messages and issues since then."""

    def finish(self) -> Tables:
        """The last drain: every flow still held. The engine is empty afterwards."""

class Selection:
    """Picks frames out of one capture that is read again.

    Args:
        flows: (source, port, destination, port, protocol, first frame, last frame, most): addresses are 16 bytes, and
            at most ``most`` frames of each are picked.
        frames: numbers of single frames.
        everything: every frame between ``from_ns`` and ``to_ns``.
        max_frames: no frame after this number.
    """

    def __init__(
        self,
        *,
        flows: list[tuple[bytes, int, bytes, int, int, int, int, int]] = ...,
        frames: list[int] = ...,
        everything: bool = False,
        from_ns: int | None = None,
        to_ns: int | None = None,
        max_frames: int | None = None,
    ) -> None: ...
    def feed(self, data: bytes) -> list[tuple[int, int, int, int, list[int], bytes]]:
        """Takes the next bytes; returns frames: number, time (ns), length on the wire, interface, positions of the
        flows it belongs to, bytes."""

    def finish(self) -> list[tuple[int, int, int, int, list[int], bytes]]: ...
    def skip_to(self, frame: int, offset: int) -> bool:
        """Says that the next bytes are those at this offset, where this frame's record starts; False when the format
        does not allow it. The file header, and no more, must have been fed."""

    @property
    def done(self) -> bool:
        """True when no frame that follows can be wanted."""

    @property
    def interfaces(self) -> list[tuple[str | None, int, int]]:
        """Name, link type and snap length of the interfaces known so far."""

class Annotator:
    """Copies one capture as pcapng and writes comments (by frame number) into it; the rest stays as it is.

    ``frames_only`` leaves out the blocks that Wireshark numbers as frames and that hold none.
    """

    def __init__(self, comments: dict[int, list[str]], section_comment: str, *, frames_only: bool = False) -> None: ...
    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes of the capture, compressed or not; returns the next bytes of the copy."""

    def finish(self) -> bytes: ...
    @property
    def written(self) -> int:
        """Frames that got their comments: simple packet blocks have no room for any."""
