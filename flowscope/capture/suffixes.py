"""File names of captures: which suffixes say nothing but the format, and which names make a ring."""

from __future__ import annotations

import os
import re

_COMPRESSION = re.compile(r"\.(gz|gzip|zst|zstd|xz|lz4)$", re.IGNORECASE)
_FORMAT = re.compile(r"\.(pcap[0-9]*|pcapng|cap|ntar|dmp)$", re.IGNORECASE)
# dumpcap -b: NAME_00001_20260101120000.pcapng
_DUMPCAP = re.compile(r"^(?P<base>.+)_[0-9]{5}_[0-9]{14}$")
# tcpdump -C or -W: NAME.pcap0, NAME.pcap1; the first file of -C has no number.
_TCPDUMP = re.compile(r"^(?P<base>.+)\.(?P<suffix>pcap|cap|pcapng)(?P<number>[0-9]*)$", re.IGNORECASE)


def without_compression(path: str) -> str:
    """The path without a compression suffix: ``vm1.pcap.gz`` is ``vm1.pcap``."""
    return _COMPRESSION.sub("", path)


def label(path: str) -> str:
    """What people call a capture: its file name without suffixes, as text that can be printed as UTF-8.

    Dots that belong to no known suffix stay: ``10.0.0.4.pcap`` is ``10.0.0.4``.
    """
    if path == "-":
        return "stdin"
    name = os.fsencode(os.path.basename(path)).decode("utf-8", "replace")
    stem = _FORMAT.sub("", without_compression(name))
    return stem or name


def ring_of(path: str) -> str | None:
    """The name that the files of one ring share, folder included; None when the file name follows no ring pattern.

    A lone ``NAME.pcap`` counts as well: it is the first file of ``tcpdump -C``. A ring needs two files.
    """
    folder, name = os.path.split(without_compression(path))
    if match := _DUMPCAP.match(_FORMAT.sub("", name)):
        return os.path.join(folder, match["base"])
    if match := _TCPDUMP.match(name):
        return os.path.join(folder, f"{match['base']}.{match['suffix']}")
    return None
