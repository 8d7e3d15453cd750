"""What is found under the names people give."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import pytest

from flowscope.capture.source import find_sources
from flowscope.errors import CaptureError
from tests.capture_bytes import handshake, pcap

pytestmark = pytest.mark.usefixtures("core")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.pcap").write_bytes(pcap(handshake()))
    (tmp_path / "a.data").write_bytes(pcap(handshake()))
    (tmp_path / "lb.toml").write_text("")
    (tmp_path / "notes.txt").write_text("hello\n")
    (tmp_path / "deeper").mkdir()
    return tmp_path


def test_a_directory_stands_for_its_captures_by_name(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flowscope")
    found = find_sources([str(folder)])
    assert [os.path.basename(source.path) for source in found] == ["a.data", "b.pcap"]
    assert found[0].peek.format == "pcap"
    assert found[0].peek.link_types == (1,)
    assert "2 other files skipped" in caplog.text
    assert "notes.txt: skipped" in caplog.text


def test_a_file_named_twice_is_read_once(folder: Path) -> None:
    assert len(find_sources([str(folder / "b.pcap"), str(folder)])) == 2


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("empty.pcap", b"", "an empty file"),
        ("notes.txt", b"hello\n", "a text file, no capture"),
        ("noise.bin", bytes(range(200, 255)) * 20, "no capture that flowscope reads"),
        ("none.pcap", None, "no such file"),
        ("nul\x00.pcap", None, "not a file name"),
    ],
)
def test_what_is_no_capture_says_why(tmp_path: Path, name: str, content: bytes | None, error: str) -> None:
    path = f"{tmp_path}/{name}"
    if content is not None:
        Path(path).write_bytes(content)
    (source,) = find_sources([path])
    assert error in source.error
    assert "\n" not in source.error


def test_standard_input_is_read_once() -> None:
    assert find_sources(["-"], io.BytesIO())[0].path == "-"
    with pytest.raises(CaptureError, match="named twice"):
        find_sources(["-", "-"], io.BytesIO())


def test_a_directory_without_captures(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (source,) = find_sources([str(tmp_path)])
    assert source.error == "a directory without captures (1 other file)"
