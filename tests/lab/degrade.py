"""Worse captures of the same traffic: what a tired analyst is handed, made from a clean run."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.lab import files
from tests.lab.files import Capture, Frame

Change = Callable[[Capture], Capture]


def _with(capture: Capture, frames: list[Frame], snap: int | None = None) -> Capture:
    return Capture(list(capture.links), list(capture.names), snap or capture.snap, frames)


def drop_share(share: float, seed: int) -> Change:
    """Lose each frame with that probability, as a busy capture does."""

    def change(capture: Capture) -> Capture:
        rng = random.Random(seed)
        return _with(capture, [frame for frame in capture.frames if rng.random() >= share])

    return change


def cut_to(snap: int) -> Change:
    """Keep only the first bytes of each frame; the length on the wire stays."""

    def change(capture: Capture) -> Capture:
        return _with(capture, [replace(frame, data=frame.data[:snap]) for frame in capture.frames], snap)

    return change


def shift_clock(seconds: float, ppm: float = 0.0) -> Change:
    """A clock that is off by some seconds, and drifts by parts per million from the first frame on."""

    def change(capture: Capture) -> Capture:
        first = min((frame.ns for frame in capture.frames), default=0)
        offset = round(seconds * 1e9)
        moved = [replace(f, ns=f.ns + offset + round((f.ns - first) * ppm / 1e6)) for f in capture.frames]
        return _with(capture, moved)

    return change


def reorder(share: float, seed: int) -> Change:
    """Swap neighbours in the file, each with its own time: several queues of one card write like that."""

    def change(capture: Capture) -> Capture:
        rng, frames, at = random.Random(seed), list(capture.frames), 0
        while at + 1 < len(frames):
            if rng.random() < share:
                frames[at], frames[at + 1] = frames[at + 1], frames[at]
                at += 1
            at += 1
        return _with(capture, frames)

    return change


def duplicate(share: float, seed: int, later_ns: int = 3000) -> Change:
    """Write frames twice, microseconds apart: a mirror port sees both of a packet's hops."""

    def change(capture: Capture) -> Capture:
        rng, frames = random.Random(seed), []
        for frame in capture.frames:
            frames.append(frame)
            if rng.random() < share:
                frames.append(replace(frame, ns=frame.ns + later_ns))
        return _with(capture, sorted(frames, key=lambda frame: frame.ns))

    return change


def between(start: float, end: float) -> Change:
    """Keep only a part of the time: two shares of this capture's own length."""

    def change(capture: Capture) -> Capture:
        times = [frame.ns for frame in capture.frames] or [0]
        first, length = min(times), max(times) - min(times)
        low, high = first + length * start, first + length * end
        return _with(capture, [frame for frame in capture.frames if low <= frame.ns <= high])

    return change


def since(seconds: float) -> Change:
    """Keep what came at or after a moment, in seconds since the epoch: the same moment for every point."""

    def change(capture: Capture) -> Capture:
        return _with(capture, [frame for frame in capture.frames if frame.ns >= seconds * 1e9])

    return change


def rewrite(path: Path, *changes: Change, form: str | None = None) -> Path:
    """Apply changes to a file in place; returns its path, which has another suffix when the form asks for it."""
    capture = files.read(path)
    for change in changes:
        capture = change(capture)
    target = path
    if form:
        target = path.with_suffix(".pcapng" if form.startswith("ng") else ".pcap")
        if target != path:
            path.unlink()
    files.write(target, capture, form or form_of(path))
    return target


def form_of(path: Path) -> str:
    """The form of a file: ``us``, ``ns``, ``ng``, with ``-be`` for big-endian."""
    head = path.read_bytes()[:12]
    if head[:4] == b"\x0a\x0d\x0d\x0a":
        return "ng" if head[8:12] == b"\x4d\x3c\x2b\x1a" else "ng-be"
    forms = {
        b"\xd4\xc3\xb2\xa1": "us",
        b"\xa1\xb2\xc3\xd4": "us-be",
        b"\x4d\x3c\xb2\xa1": "ns",
        b"\xa1\xb2\x3c\x4d": "ns-be",
    }
    return forms[head[:4]]


def cut_file(path: Path, share: float) -> int:
    """End the file in the middle of a record, after about that share of its bytes; returns its new size."""
    size = int(path.stat().st_size * share)
    capture = files.read(path)
    if form_of(path)[:2] != "ng":
        # Never by chance at a record's border: that would be a whole, shorter file.
        at = 24
        for frame in capture.frames:
            if at + 16 + len(frame.data) > size:
                size = at + 16 + len(frame.data) // 2
                break
            at += 16 + len(frame.data)
    with path.open("r+b") as out:
        out.truncate(size)
    return size


def copy(run: Path, to: Path, without: tuple[str, ...] = ()) -> Path:
    """A copy of a run to spoil, without some of its files."""
    shutil.copytree(run, to, ignore=shutil.ignore_patterns(*without, "report*.json", ".*"))
    return to
