"""The pcapng writer against three readers: the core, tshark and scapy."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowscope.capture.core import new_selection
from flowscope.evidence.pcapng import PcapngWriter
from flowscope.settings import Settings

pytestmark = pytest.mark.usefixtures("core")

FRAME = st.tuples(
    st.integers(0, 3), st.integers(0, 2**62), st.binary(max_size=80), st.integers(0, 9), st.lists(st.text(), max_size=3)
)


def read(data: bytes) -> tuple[list[tuple[str | None, int, int]], list[tuple[int, int, int, bytes]]]:
    selection = new_selection(flows=[], frames=[], everything=True, settings=Settings())
    rows = [*selection.feed(data), *selection.finish()]
    return selection.interfaces, [(interface, time, wire, data) for _, time, wire, interface, _, data in rows]


@settings(max_examples=60, deadline=None)
@given(st.lists(FRAME, max_size=8), st.text())
def test_what_is_written_is_read_back(frames: list[tuple[int, int, bytes, int, list[str]]], comment: str) -> None:
    out = io.BytesIO()
    writer = PcapngWriter(out, "test", [comment])
    known: dict[int, int] = {}
    for key, time_ns, data, more, comments in frames:
        number = writer.interface(key, 100 + key, f"if{key}", None)
        assert number == known.setdefault(key, len(known))
        writer.packet(number, time_ns, len(data) + more, data, comments)
    interfaces, rows = read(out.getvalue())
    assert interfaces == [(f"if{key}", 100 + key, 0) for key in known]
    assert rows == [(known[key], time_ns, len(data) + more, data) for key, time_ns, data, more, _ in frames]


def test_a_comment_too_long_for_an_option_is_cut_between_characters(tmp_path: Path, tshark: str) -> None:
    out = io.BytesIO()
    writer = PcapngWriter(out, "test", ["é" * 60_000])
    writer.packet(writer.interface(0, 1, "eth0", "LAN"), 5, 60, bytes(60), ["ü" * 60_000, "second"])
    path = tmp_path / "long.pcapng"
    path.write_bytes(out.getvalue())
    command = [tshark, "-r", str(path), "-T", "fields", "-e", "frame.comment"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert told == "ü" * (0xFFFC // 2) + ",second"
