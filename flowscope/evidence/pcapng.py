"""A pcapng file as evidence needs it: interfaces with names, times in nanoseconds, comments (draft-ietf-opsawg-pcapng).

Blocks are written in little-endian order; interfaces are described when their first frame comes.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Sequence
from typing import BinaryIO

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_COMMENT, _END = 1, 0
_SHB_USERAPPL = 4
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL = 2, 3, 9
_ISB_ENDTIME, _ISB_IFDROP = 3, 5
_NANOSECONDS = b"\x09"
#: An option's length has 16 bits, and its value is padded to 32.
_LONGEST_OPTION = 0xFFFC


class PcapngWriter:
    """Writes one section.

    Args:
        out: where to.
        application: the program that writes, for Wireshark's capture file properties.
        comments: of the section.
    """

    def __init__(self, out: BinaryIO, application: str, comments: Sequence[str] = ()) -> None:
        self._out = out
        self._interfaces: dict[Hashable, int] = {}
        options = [*((_COMMENT, _text(one)) for one in comments), (_SHB_USERAPPL, _text(application))]
        # The section's length is not known yet.
        self._block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options(options))

    def interface(self, key: Hashable, link_type: int, name: str, description: str | None) -> int:
        """The number of an interface, which is described when it is named for the first time."""
        if key not in self._interfaces:
            options = [(_IF_NAME, _text(name))]
            if description:
                options.append((_IF_DESCRIPTION, _text(description)))
            options.append((_IF_TSRESOL, _NANOSECONDS))
            self._block(_INTERFACE, struct.pack("<HHI", link_type, 0, 0) + _options(options))
            self._interfaces[key] = len(self._interfaces)
        return self._interfaces[key]

    def packet(self, interface: int, time_ns: int, wire_length: int, data: bytes, comments: Sequence[str] = ()) -> None:
        """Writes one frame; ``time_ns`` since the epoch."""
        ticks = time_ns & 0xFFFFFFFFFFFFFFFF
        head = struct.pack("<IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire_length)
        self._block(_PACKET, head + _padded(data) + _options([(_COMMENT, _text(one)) for one in comments]))

    def statistics(self, interface: int, end_ns: int, dropped: int | None) -> None:
        """Says when capturing ended at an interface, and how many frames were lost there when that is known."""
        high, low = (end_ns >> 32) & 0xFFFFFFFF, end_ns & 0xFFFFFFFF
        options = [(_ISB_ENDTIME, struct.pack("<II", high, low))]
        if dropped is not None:
            options.append((_ISB_IFDROP, struct.pack("<Q", dropped)))
        self._block(_STATISTICS, struct.pack("<III", interface, high, low) + _options(options))

    def _block(self, kind: int, body: bytes) -> None:
        length = len(body) + 12
        self._out.write(struct.pack("<II", kind, length) + body + struct.pack("<I", length))


def _options(options: Sequence[tuple[int, bytes]]) -> bytes:
    if not options:
        return b""
    listed = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    return listed + struct.pack("<HH", _END, 0)


def _text(text: str) -> bytes:
    """UTF-8, cut between characters where an option ends."""
    encoded = text.encode("utf-8", "replace")
    return encoded if len(encoded) <= _LONGEST_OPTION else encoded[:_LONGEST_OPTION].decode("utf-8", "ignore").encode()


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
