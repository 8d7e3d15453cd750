"""Wireshark's engine: filters that select by number, formats of others, and clear words when it is missing."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import struct
import subprocess
from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.capture.spool import Spool
from flowscope.capture.wireshark import check_filter, dissect, matching, need, version
from flowscope.errors import CaptureError, FlowscopeError
from flowscope.settings import Settings
from tests.capture_bytes import handshake, pcap, pcapng, segment

pytestmark = pytest.mark.usefixtures("core", "tshark")

FRAMES = [frame for port in (1001, 1002, 1003) for frame in handshake(port)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_numbers_are_those_of_the_file(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "any.pcap"
    path.write_bytes(pack(pcap(FRAMES)))
    assert list(matching(str(path), "tcp.port == 1002")) == [4, 5, 6]
    assert list(matching(str(path), "tcp.flags.syn == 1 && tcp.flags.ack == 1")) == [2, 5, 8]
    assert list(matching(str(path), "udp")) == []


def test_blocks_that_only_wireshark_counts_do_not_shift_the_numbers(tmp_path: Path) -> None:
    whole = pcapng([("eth0", FRAMES)])
    custom = struct.pack("<III4sI", 0xBAD, 20, 32473, b"text", 20)
    at = whole.index(struct.pack("<I", 6), 60)
    path = tmp_path / "custom.pcapng"
    path.write_bytes(whole[:at] + custom * 3 + whole[at:])
    assert list(matching(str(path), "tcp.port == 1002")) == [4, 5, 6]


def test_a_cut_capture_gives_what_could_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "cut.pcapng"
    path.write_bytes(pcapng([("eth0", FRAMES)])[:-30])
    assert list(matching(str(path), "tcp")) == list(range(1, 9))
    assert "cut short" in caplog.text


@pytest.mark.parametrize("wrong", ["tcp.flgs == 1", "tcp &&", "ip.addr == 10.0.0.300", "\x1b[2J"])
def test_a_wrong_filter_is_an_error_with_the_words_of_tshark(wrong: str) -> None:
    with pytest.raises(FlowscopeError, match=r"no display filter: .{10}"):
        check_filter(wrong)
    check_filter("tcp.port == 80")


def test_only_the_selected_frames_are_analysed(tmp_path: Path) -> None:
    path = tmp_path / "vm1.pcap"
    path.write_bytes(pcap(FRAMES))
    analysis = analyze([path], settings=Settings(display_filter="tcp.port == 1002"))
    assert analysis.flows.select("first_frame", "last_frame").rows() == [(4, 6)]
    assert analysis.captures[0].frames == 9
    assert list(analysis.captures[0].only or ()) == [4, 5, 6]
    assert any("display filter" in problem for problem in analysis.problems)


def test_a_pipe_is_read_twice_when_it_is_kept() -> None:
    settings = Settings(display_filter="tcp.port == 1003")
    with Spool(io.BytesIO(pcap(FRAMES))) as spool:
        analysis = analyze(["-"], settings=settings, stdin=spool.stream)
    assert analysis.flows["first_frame"].to_list() == [7]
    with pytest.raises(CaptureError, match="give a file"):
        analyze(["-"], settings=settings, stdin=io.BytesIO(pcap(FRAMES)))


def test_evidence_of_a_selection_holds_nothing_else(tmp_path: Path) -> None:
    from flowscope.evidence.frames import Wanted, read_frames

    path = tmp_path / "vm1.pcap"
    path.write_bytes(pcap(FRAMES))
    analysis = analyze([path], settings=Settings(display_filter="tcp.flags.syn == 1"))
    assert [frame.number for frame in read_frames(analysis, Wanted(everything=True))] == [1, 2, 4, 5, 7, 8]
    assert [frame.number for frame in read_frames(analysis, Wanted({0}))] == [1, 2]


@pytest.mark.parametrize("kind", ["snoop", "netmon2", "5views", "lanalyzer"])
def test_formats_of_others_are_converted_and_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "plain.pcap").write_bytes(pcap(FRAMES))
    foreign = tmp_path / "other.trc"
    command = ["editcap", "-F", kind, str(tmp_path / "plain.pcap"), str(foreign)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"editcap does not write {kind}")
    analysis = analyze([foreign], settings=Settings(hash=True))
    (capture,) = analysis.captures
    assert (capture.frames, analysis.flows.height) == (9, 3)
    assert capture.format == kind and (capture.converted_by or "").startswith("editcap ")
    from hashlib import sha256

    assert capture.sha256 == sha256(foreign.read_bytes()).hexdigest()
    assert analysis.points[0].name == "other.trc"


def test_versions_are_numbers() -> None:
    assert re.fullmatch(r"\d+(\.\d+)+", version("tshark")) and version("tshark") == version("editcap")


def test_what_wireshark_cannot_read_either_is_no_capture(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("nothing to see\n" * 20)
    with pytest.raises(CaptureError, match="a text file, no capture"):
        analyze([path])


def test_without_wireshark_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = tmp_path / "x.snoop"
    foreign.write_bytes(b"snoop\0\0\0\0\0\0\x02\0\0\0\x04")
    monkeypatch.setenv("PATH", str(tmp_path))
    for call in (lambda: need("tshark", "dissect"), lambda: check_filter("tcp"), lambda: list(dissect("x"))):
        with pytest.raises(FlowscopeError, match=r"needs tshark, which is not installed: install .*apt install tshark"):
            call()
    with pytest.raises(CaptureError, match=r"Solaris snoop capture.*convert it with: editcap"):
        analyze([foreign])


def test_frames_are_dissected_in_full_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "two.pcapng"
    path.write_bytes(pcapng([("eth0", [segment(sport=1001), segment(sport=1002)])]))
    first, second = dissect(str(path))
    assert "Source Port: 1001" in first and "Source Port: 1002" in second
    assert "Layer IP" in first and "Source Address: 10.0.0.9" in first


def test_a_child_that_fails_is_said(tmp_path: Path) -> None:
    path = tmp_path / "none.pcapng"
    path.write_bytes(b"not a capture at all")
    with pytest.raises(FlowscopeError, match="dissect: "):
        list(dissect(str(path)))
