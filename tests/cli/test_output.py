"""Results are there whole or not at all, and never in place of a capture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowscope.cli.output import check_output, opened
from flowscope.errors import FlowscopeError


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    target.chmod(0o640)
    with opened(str(target)) as out:
        out.write(b"new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["report.json"]


def test_after_a_failure_the_old_file_is_there(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), opened(str(target)) as out:
        out.write(b"half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_new_file_has_usual_rights_and_a_link_stays(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real.json")
    mask = os.umask(0o022)
    try:
        with opened(str(link)) as out:
            out.write(b"x")
    finally:
        os.umask(mask)
    assert link.is_symlink()
    assert (tmp_path / "real.json").stat().st_mode & 0o777 == 0o644


def test_a_device_is_written_as_it_is() -> None:
    with opened("/dev/null") as out:
        out.write(b"x")
    assert os.path.exists("/dev/null")


def test_refuses_an_input_whatever_it_is_called(tmp_path: Path) -> None:
    capture = tmp_path / "vm1.pcap"
    capture.write_bytes(b"x")
    (tmp_path / "alias").symlink_to(capture)
    for name in ("vm1.pcap", "alias", "../" + tmp_path.name + "/vm1.pcap"):
        with pytest.raises(FlowscopeError, match="is one of the inputs"):
            check_output(str(tmp_path / name), [str(capture)])
    check_output(str(tmp_path / "report.json"), [str(capture)])
    check_output(None, [str(capture)])


def test_refuses_a_place_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FlowscopeError, match="there is no directory"):
        check_output(str(tmp_path / "none" / "x.json"), [])
    with pytest.raises(FlowscopeError, match="give -o a file name"):
        check_output(str(tmp_path), [])
