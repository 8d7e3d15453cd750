"""Bytes of a given file become text, by content: UTF-8, UTF-16 (what PowerShell redirects), gzip around either."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import zlib
from dataclasses import dataclass

from flowscope.errors import GivenFileError

#: No export of these kinds comes near; what does is a mistake, or an attack (gzip bombs included).
MOST_BYTES = 512 << 20

#: Control characters but for tab and newline; overrides of the writing direction; halves of surrogate pairs.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class GivenBytes:
    """A file as it was read."""

    path: str
    """As the user named it."""
    sha256: str
    """Of the file itself, compressed or not."""
    data: bytes
    """Decompressed."""


def read_bytes(path: str | os.PathLike[str]) -> GivenBytes:
    """The bytes of a given file.

    Raises:
        GivenFileError: it cannot be read, is empty, damaged, or larger than any export of its kind.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as opened:
            raw = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise GivenFileError(name, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(raw) > MOST_BYTES:
        raise GivenFileError(name, f"larger than {MOST_BYTES >> 20} MiB: give the part about the captures' time")
    data = _gunzip(name, raw) if raw[:2] == b"\x1f\x8b" else raw
    if not data.strip():
        raise GivenFileError(name, "is empty: the command that wrote it failed; run it again and look at its errors")
    return GivenBytes(name, hashlib.sha256(raw).hexdigest(), data)


def _gunzip(name: str, raw: bytes) -> bytes:
    parts: list[bytes] = []
    room = MOST_BYTES
    try:
        while raw:
            member = zlib.decompressobj(wbits=31)
            parts.append(member.decompress(raw, room))
            room -= len(parts[-1])
            if member.unconsumed_tail or room <= 0:
                raise GivenFileError(name, f"unpacks to more than {MOST_BYTES >> 20} MiB")
            if not member.eof:
                raise GivenFileError(name, "is cut: its gzip stream has no end; copy it again")
            raw = member.unused_data
    except zlib.error as error:
        raise GivenFileError(name, f"is a damaged gzip file ({error}); copy it again") from None
    return b"".join(parts)


def decode(given: GivenBytes, *, strict: bool = True) -> str:
    """The text, without byte order mark and with plain line ends.

    Args:
        given: the file.
        strict: refuse what is no UTF-8 or UTF-16; otherwise bytes of another code page become Latin-1 letters (Windows
            tools print in the console's code page, and only their ASCII parts matter).

    Raises:
        GivenFileError: no text in these encodings.
    """
    data = given.data
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    if encoding is None:
        # UTF-16 without its mark: every other byte of ASCII text is zero.
        sample = data[:200]
        encoding = {(True, False): "utf-16-le", (False, True): "utf-16-be"}.get(
            (_mostly_zero(sample[1::2]), _mostly_zero(sample[::2])), "utf-8"
        )
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if strict:
            raise GivenFileError(given.path, f"is no UTF-8 or UTF-16 text (byte {error.start})") from None
        text = data.decode("latin-1")
    return harmless(text.replace("\r\n", "\n").replace("\r", "\n"))


def harmless(text: str) -> str:
    """The text without characters that steer a terminal or turn the writing direction, and without half characters."""
    return _STEERING.sub("\ufffd", text)


def _mostly_zero(data: bytes) -> bool:
    return len(data) > 1 and data.count(0) > len(data) * 0.8
