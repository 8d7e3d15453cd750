"""Streams that are closed, full or gone, and signals: one line, the right exit code, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, RunCli

HAIRPIN = ROOT / "captures" / "hairpin"
pytestmark = pytest.mark.usefixtures("core")


def started(shell: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs a line of bash in which ``$flowscope`` is the command."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "flowscope": f"{sys.executable} -m flowscope"}
    usual = {"capture_output": True, "text": True, "timeout": 120, "env": environment, "cwd": HAIRPIN}
    return subprocess.run(["bash", "-c", shell], **{**usual, **options})  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("analyze be1.pcap", 0),
        ("analyze be1.pcap --fail-on error", 1),
        ("analyze be1.pcap --format json", 0),
        ("flows be1.pcap --format jsonl", 0),
        ("extract be1.pcap -w -", 0),
        ("annotate be1.pcap -w -", 0),
        ("explain hairpin-mismatch", 0),
        ("analyze --help", 0),
    ],
)
def test_a_reader_that_has_seen_enough_is_no_failure(command: str, code: int) -> None:
    done = started(f"(sleep 0.5; $flowscope {command}; echo $? >&2) | head -c 0")
    assert done.stderr == f"{code}\n"


@pytest.mark.parametrize("command", ["analyze be1.pcap", "analyze be1.pcap --format json", "extract be1.pcap -w -"])
def test_a_full_disk_is_told_with_what_could_not_be_written(command: str) -> None:
    done = started(f"$flowscope {command} > /dev/full")
    assert (done.returncode, done.stderr) == (2, "flowscope: standard output: no space left on device\n")


def test_a_file_that_has_no_room_is_named(run_cli: RunCli) -> None:
    done = run_cli("analyze", HAIRPIN / "be1.pcap", "-o", "/dev/full")
    assert (done.returncode, done.stderr) == (2, "flowscope: /dev/full: no space left on device\n")


def test_a_file_that_cannot_be_made_has_the_name_that_was_given(run_cli: RunCli) -> None:
    done = run_cli("analyze", HAIRPIN / "be1.pcap", "-o", "/proc/report.txt")
    assert (done.returncode, done.stderr) == (2, "flowscope: /proc/report.txt: no such file or directory\n")


def test_without_stdout_a_file_is_written_and_text_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    assert started(f"exec $flowscope analyze be1.pcap --format json -o {target} >&- 2>&- <&-").returncode == 0
    assert target.read_bytes().startswith(b"{")
    done = started("exec $flowscope analyze be1.pcap --format json >&-")
    assert (done.returncode, done.stderr) == (2, "flowscope: standard output: bad file descriptor\n")


def test_without_stderr_warnings_do_not_get_into_the_result() -> None:
    done = started("exec $flowscope analyze . --format json 2>&-")
    assert done.returncode == 0
    assert done.stdout.startswith("{")


def test_an_error_does_not_repeat_the_warning() -> None:
    done = started("$flowscope analyze - < /dev/null")
    assert (done.returncode, done.stderr.count("the file is empty")) == (2, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_told_to_end_leaves_no_temporary_files(tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "flowscope", "report", "-", "-o", str(tmp_path / "report")]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write((HAIRPIN / "be1.pcap").read_bytes())
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not os.listdir(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert os.listdir(tmp_path)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    assert os.listdir(tmp_path) == []
