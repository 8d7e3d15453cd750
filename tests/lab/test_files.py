from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab import degrade, files
from tests.lab.files import Capture, Frame

FORMS = ("us", "ns", "ng", "us-be", "ns-be", "ng-be")
FRAMES = [Frame(1_700_000_000_123_456_000 + n * 1_000_000, bytes([n]) * (60 + n), 60 + n) for n in range(50)]


def capture() -> Capture:
    return Capture(frames=list(FRAMES))


@pytest.mark.parametrize("form", FORMS)
def test_what_was_written_is_read_again(tmp_path: Path, form: str) -> None:
    path = tmp_path / "x"
    files.write(path, capture(), form)
    assert files.read(path).frames == FRAMES
    assert degrade.form_of(path) == form


@pytest.mark.parametrize("form", FORMS)
def test_tshark_reads_every_form(tmp_path: Path, tshark: str, form: str) -> None:
    path = tmp_path / "x"
    files.write(path, capture(), form)
    fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len"]
    lines = subprocess.run([tshark, "-n", "-r", str(path), *fields], text=True, capture_output=True, check=True).stdout
    assert lines.split()[:2] == ["1700000000.123456000", "60"]
    assert len(lines.splitlines()) == 50


def test_interfaces_are_merged_by_time(tmp_path: Path) -> None:
    whole = files.merge([("out0", Capture(frames=FRAMES[::2])), ("in0", Capture(frames=FRAMES[1::2]))])
    files.write(tmp_path / "x", whole, "ng")
    again = files.read(tmp_path / "x")
    assert again.names == ["out0", "in0"]
    assert [frame.interface for frame in again.frames] == [0, 1] * 25


def test_a_share_of_frames_is_lost() -> None:
    kept = degrade.drop_share(0.4, 1)(capture()).frames
    assert 20 <= len(kept) <= 40
    assert kept == degrade.drop_share(0.4, 1)(capture()).frames


def test_frames_are_cut_and_remember_their_length() -> None:
    cut = degrade.cut_to(64)(capture())
    assert {len(frame.data) for frame in cut.frames} == {60, 61, 62, 63, 64}
    assert [frame.wire for frame in cut.frames] == [frame.wire for frame in FRAMES]


def test_a_clock_is_shifted_and_drifts() -> None:
    moved = degrade.shift_clock(2.5, 100)(capture()).frames
    assert moved[0].ns - FRAMES[0].ns == 2_500_000_000
    assert moved[49].ns - FRAMES[49].ns == 2_500_000_000 + 4900


def test_neighbours_are_swapped_and_frames_doubled() -> None:
    swapped = degrade.reorder(0.3, 2)(capture()).frames
    assert swapped != FRAMES
    assert sorted(swapped, key=lambda frame: frame.ns) == FRAMES
    assert len(degrade.duplicate(1.0, 2)(capture()).frames) == 100


def test_only_a_part_of_the_time_is_kept() -> None:
    assert degrade.between(0.5, 1)(capture()).frames == FRAMES[25:]
    assert degrade.since(FRAMES[40].ns / 1e9 - 0.0005)(capture()).frames == FRAMES[40:]


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_cut_inside_a_record(tmp_path: Path, form: str) -> None:
    path = tmp_path / "x"
    files.write(path, capture(), form)
    degrade.cut_file(path, 0.5)
    assert 10 < len(files.read(path).frames) < 40


def test_a_file_changes_its_form(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    files.write(path, capture(), "us")
    path = degrade.rewrite(path, degrade.cut_to(70), form="ng-be")
    assert path.name == "x.pcapng"
    assert degrade.form_of(path) == "ng-be"
    assert files.read(path).snap == 70
