"""Reading frames again: from plain and compressed files, rings and pipes, and never from a file that has changed."""

from __future__ import annotations

import gzip
import io
import lzma
import os
from pathlib import Path

import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.capture.spool import Spool
from flowscope.errors import CaptureError
from flowscope.evidence.frames import Wanted, read_frames
from tests.capture_bytes import ACK, handshake, pcap, segment
from tests.traffic import T0

pytestmark = pytest.mark.usefixtures("core")

HUNDRED = [frame for port in range(1000, 1100) for frame in handshake(port)]


def taken(analysis: Analysis, wanted: Wanted) -> list[tuple[int, int, bytes]]:
    return [(frame.number, frame.time_ns, frame.data) for frame in read_frames(analysis, wanted)]


def expected(flow: int) -> list[tuple[int, int, bytes]]:
    return [(at + 1, T0 + at * 1000, HUNDRED[at]) for at in range(flow * 3, flow * 3 + 3)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_flows_and_single_frames(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "any.pcap"
    path.write_bytes(pack(pcap(HUNDRED)))
    analysis = analyze([path])
    assert taken(analysis, Wanted({7, 93})) == expected(7) + expected(93)
    assert taken(analysis, Wanted({7}, {(0, 1)})) == expected(0)[:1] + expected(7)
    assert len(taken(analysis, Wanted(everything=True))) == len(HUNDRED)
    assert len(taken(analysis, Wanted({7}, most={7: 2}))) == 2


def test_a_plain_file_is_read_from_the_first_wanted_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.pcap"
    path.write_bytes(pcap(HUNDRED))
    analysis = analyze([path])
    monkeypatch.setattr("flowscope.evidence.frames._WORTH_SKIPPING", 1000)
    sought = []
    real = open

    def watched(*arguments, **options):  # type: ignore[no-untyped-def]
        file = real(*arguments, **options)
        seek = file.seek

        class Watched(io.FileIO):
            def seek(self, offset: int, whence: int = 0) -> int:
                sought.append(offset)
                return super().seek(offset, whence)

        seek(0)
        return Watched(arguments[0]) if arguments[0] == str(path) else file

    monkeypatch.setattr("builtins.open", watched)
    assert taken(analysis, Wanted({93})) == expected(93)
    assert sought == [analysis.flows["first_offset"][93]]


def test_connections_that_follow_on_one_tuple_stay_apart(tmp_path: Path) -> None:
    later = [segment(seq=9000), segment(flags=ACK, seq=9001, ack=7)]
    path = tmp_path / "reuse.pcap"
    path.write_bytes(pcap([*handshake(), *later]))
    analysis = analyze([path])
    assert analysis.flows.height == 2
    assert [number for number, _, _ in taken(analysis, Wanted({0}))] == [1, 2, 3]
    assert [number for number, _, _ in taken(analysis, Wanted({1}))] == [4, 5]


def test_a_flow_goes_on_in_the_next_file_of_a_ring(tmp_path: Path) -> None:
    first, second, third = handshake()
    for at, frames in enumerate(([first, segment(sport=7)], [second], [segment(sport=8), third])):
        name = f"ring_{at + 1:05}_2026010112000{at}.pcap"
        (tmp_path / name).write_bytes(pcap(frames, T0 + at * 10**9))
    analysis = analyze([*sorted(tmp_path.iterdir(), reverse=True)])
    flow = analysis.flows["fwd_packets"].arg_max()
    assert flow is not None and len(analysis.points) == 1
    assert [frame.data for frame in read_frames(analysis, Wanted({flow}))] == [first, second, third]


def test_the_bounds_of_the_analysis_hold(tmp_path: Path) -> None:
    from flowscope.settings import Settings

    path = tmp_path / "bounds.pcap"
    path.write_bytes(pcap(HUNDRED))
    bounds = Settings(from_ns=T0 + 1000, to_ns=T0 + 9000, max_frames=5)
    analysis = analyze([path], settings=bounds)
    assert [number for number, _, _ in taken(analysis, Wanted(everything=True))] == [2, 3, 4, 5]


def test_a_pipe_is_kept_for_the_second_reading() -> None:
    with Spool(io.BytesIO(pcap(HUNDRED))) as spool:
        analysis = analyze(["-"], stdin=spool.stream)
        assert taken(analysis, Wanted({5})) == expected(5)
        path = spool.path
        assert os.stat(path).st_mode & 0o077 == 0
    assert not os.path.exists(path)


def test_a_pipe_that_nobody_kept_is_said() -> None:
    analysis = analyze(["-"], stdin=io.BytesIO(pcap(HUNDRED)))
    with pytest.raises(CaptureError, match="nobody kept them"):
        taken(analysis, Wanted({5}))


@pytest.mark.parametrize("change", ["longer", "touched", "gone"])
def test_a_file_that_changed_is_an_error_and_no_evidence(tmp_path: Path, change: str) -> None:
    path = tmp_path / "growing.pcap"
    path.write_bytes(pcap(HUNDRED))
    analysis = analyze([path])
    if change == "longer":
        path.write_bytes(pcap([*HUNDRED, segment()]))
        os.utime(path, ns=(0, analysis.captures[0].state[1]))  # type: ignore[index]
    elif change == "touched":
        os.utime(path, ns=(0, 0))
    else:
        path.unlink()
    with pytest.raises(CaptureError, match=r"growing\.pcap: (has changed since|cannot be read again)"):
        taken(analysis, Wanted({5}))
