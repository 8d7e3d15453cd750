"""Captures become tables."""

from __future__ import annotations

import gzip
import hashlib
import io
from pathlib import Path

import polars as pl
import pytest

from flowscope.capture.file import read_captures
from flowscope.capture.points import name_points
from flowscope.errors import CaptureError
from flowscope.settings import Settings
from tests.capture_bytes import SECOND, T0, handshake, pcap, pcapng

pytestmark = pytest.mark.usefixtures("core")


def write(folder: Path, **files: bytes) -> list[str]:
    """Writes files named by keyword (``vm1_pcap`` is ``vm1.pcap``) and returns their paths."""
    paths = []
    for name, content in files.items():
        stem, _, suffix = name.rpartition("_")
        path = folder / f"{stem}.{suffix}"
        path.write_bytes(content)
        paths.append(str(path))
    return paths


def test_one_capture(tmp_path: Path) -> None:
    content = pcap(handshake())
    paths = write(tmp_path, vm1_pcap=content)
    told: list[tuple[int, int | None]] = []
    tables, captures = read_captures(paths, Settings(hash=True), lambda done, total: told.append((done, total)))
    (capture,) = captures
    assert (capture.id, capture.path, capture.format, capture.frames) == (0, paths[0], "pcap", 3)
    assert (capture.first_ns, capture.last_ns) == (T0, T0 + 2000)
    assert capture.sha256 == hashlib.sha256(content).hexdigest()
    assert capture.link_types == (1,)
    assert told[-1] == (len(content), len(content))
    assert pl.DataFrame(tables.flows).height == 1


def test_no_hash_unless_asked(tmp_path: Path) -> None:
    assert read_captures(write(tmp_path, vm1_pcap=pcap(handshake())), Settings())[1][0].sha256 is None


def test_standard_input() -> None:
    _, captures = read_captures(["-"], Settings(), stdin=io.BytesIO(gzip.compress(pcap(handshake()))))
    assert (captures[0].path, captures[0].compression, captures[0].frames) == ("-", "gzip", 3)


def test_a_ring_is_one_point_read_in_order_of_time(tmp_path: Path) -> None:
    frames = handshake()
    paths = write(tmp_path, lb_pcap0=pcap(frames[2:], T0 + SECOND), lb_pcap1=pcap(frames[:2]))
    tables, captures = read_captures(paths, Settings())
    assert [capture.points for capture in captures] == [(0,), (0,)]
    flows = pl.DataFrame(tables.flows)
    assert flows.height == 1
    assert flows["handshake_rtt_ns"].item() == SECOND
    assert name_points(pl.DataFrame(tables.points), captures)[0].name == "lb"


def test_files_that_overlap_are_points_of_their_own(tmp_path: Path) -> None:
    paths = write(tmp_path, lb_pcap0=pcap(handshake()), lb_pcap1=pcap(handshake(), T0 + 1))
    tables, captures = read_captures(paths, Settings())
    points = name_points(pl.DataFrame(tables.points), captures)
    assert [point.name for point in points] == ["lb", "lb#2"]
    assert pl.DataFrame(tables.flows).height == 2


def test_point_option_joins_files(tmp_path: Path) -> None:
    paths = write(tmp_path, ring_a_pcap=pcap(handshake()), ring_b_pcap=pcap(handshake(50002), T0 + SECOND))
    settings = Settings(points=(("ring_*", "lb"),))
    tables, captures = read_captures(paths, settings)
    (point,) = name_points(pl.DataFrame(tables.points), captures, settings.points)
    assert (point.name, point.captures) == ("lb", (0, 1))


def test_interfaces_of_a_pcapng_are_points(tmp_path: Path) -> None:
    paths = write(tmp_path, lb_pcapng=pcapng([("eth0", handshake()), (None, handshake(50002)), ("idle", [])]))
    tables, captures = read_captures(paths, Settings())
    assert [point.name for point in name_points(pl.DataFrame(tables.points), captures)] == ["lb:eth0", "lb:1"]


def test_a_bad_file_beside_a_good_one_is_an_issue(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = write(tmp_path, notes_txt=b"hello\n", vm1_pcap=pcap(handshake()))
    _, captures = read_captures([*paths, str(tmp_path / "none.pcap")], Settings())
    assert [capture.format for capture in captures] == [None, "pcap", None]
    assert captures[0].issues[0]["kind"] == "not-a-capture"
    assert "a text file" in captures[0].issues[0]["detail"]
    assert "no such file" in captures[2].issues[0]["detail"]
    assert len(caplog.records) == 2


def test_a_cut_capture_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    _, captures = read_captures(write(tmp_path, vm1_pcap=pcap(handshake())[:-7]), Settings())
    assert captures[0].frames == 2
    assert [issue["kind"] for issue in captures[0].issues] == ["truncated-tail"]


def test_nothing_readable_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CaptureError) as raised:
        read_captures([*write(tmp_path, a_txt=b"hello\n"), str(tmp_path / "none.pcap")], Settings())
    assert "a.txt: a text file" in str(raised.value)
    assert "none.pcap: no such file" in str(raised.value)
    with pytest.raises(CaptureError, match="no capture given"):
        read_captures([], Settings())


def test_a_capture_without_frames_is_a_capture(tmp_path: Path) -> None:
    _, captures = read_captures(write(tmp_path, vm1_pcap=pcap([])), Settings())
    assert (captures[0].format, captures[0].frames, captures[0].points) == ("pcap", 0, ())
