"""``flowscope dissect``, ``annotate`` and ``-Y`` as typed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capture_bytes import pcap, segment
from tests.conftest import ROOT, RunCli

pytestmark = pytest.mark.usefixtures("core", "tshark")


@pytest.fixture(scope="module")
def case(samples: Path) -> list[str]:
    return [str(samples / "closed-port" / "be2.pcap"), "--topology", str(samples / "closed-port" / "topology.toml")]


def test_dissect_shows_what_a_finding_cites(run_cli: RunCli, case: list[str]) -> None:
    evidence = json.loads(run_cli("analyze", *case, "--format", "json").stdout)["findings"][0]["evidence"]
    done = run_cli("dissect", *case, "--finding", "F1")
    assert done.returncode == 0
    headings = [line for line in done.stdout.splitlines() if line.startswith("Frame ")]
    numbers = [line for line in done.stdout.splitlines() if line.startswith("  Frame Number: ")]
    assert len(headings) == len(numbers) == len(evidence)
    for item, heading, number in zip(evidence, headings, numbers, strict=True):
        assert heading.startswith(f"Frame {item['frame']} of {case[0]}, point be2: ") and item["note"] in heading
        assert number == f"  Frame Number: {item['frame']}"
    assert "Transmission Control Protocol" in done.stdout or "Layer TCP" in done.stdout


def test_packet_text_cannot_reach_the_terminal(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "http.pcap"
    frame = bytearray(segment(flags=0x18, dport=80))
    payload = b"GET /\x1b]0;owned\x07\x1b[2J HTTP/1.1\r\nHost: \xe2\x80\xaex\r\n\r\n"
    frame[16:18] = (40 + len(payload)).to_bytes(2, "big")
    path.write_bytes(pcap([bytes(frame) + payload]))
    done = run_cli("dissect", path, "--flow", "0")
    assert done.returncode == 0 and "GET" in done.stdout
    assert "\x1b" not in done.stdout and "\x07" not in done.stdout and "\u202e" not in done.stdout


def test_a_wrong_filter_is_an_error_and_not_zero_frames(run_cli: RunCli, case: list[str]) -> None:
    done = run_cli("analyze", *case, "-Y", "tcp.flgs == 1\x1b[2J")
    assert done.returncode == 2 and not done.stdout
    assert "no display filter" in done.stderr and len(done.stderr.splitlines()) == 1 and "\x1b" not in done.stderr


def test_a_filter_selects_what_is_analysed(run_cli: RunCli, case: list[str]) -> None:
    whole = json.loads(run_cli("flows", *case, "--format", "json").stdout)["flows"]
    some = json.loads(run_cli("flows", *case, "--format", "json", "-Y", "tcp.port == 8080").stdout)
    wanted = [(one["src"], one["first_frame"], one["last_frame"]) for one in whole if one["dst"].endswith(":8080")]
    assert [(one["src"], one["first_frame"], one["last_frame"]) for one in some["flows"]] == wanted
    assert some["captures"][0]["matched"] < some["captures"][0]["frames"]


def test_without_tshark_one_line(run_cli: RunCli, case: list[str], tmp_path: Path) -> None:
    for arguments in (["dissect", *case], ["analyze", *case, "-Y", "tcp"]):
        done = run_cli(*arguments, env={"PATH": str(tmp_path)})
        assert done.returncode == 2 and "install" in done.stderr and "Traceback" not in done.stderr
        assert [line for line in done.stderr.splitlines() if "tshark" in line]


def test_annotate_as_typed(run_cli: RunCli, case: list[str], samples: Path, tmp_path: Path, tshark: str) -> None:
    target = tmp_path / "out.pcapng"
    other = samples / "closed-port" / "lb_in.pcap"
    done = run_cli("annotate", *case, "--beside", other, "-w", target)
    assert done.returncode == 0 and "frames with comments" in done.stderr
    shown = [tshark, "-r", str(target), "-Y", 'frame.comment contains "F1 closed-port"']
    assert subprocess.run(shown, capture_output=True, text=True, check=True).stdout.count("\n") > 20


def test_annotate_wants_one_file_and_spares_it(run_cli: RunCli, case: list[str], samples: Path) -> None:
    for arguments in ([*case, samples / "closed-port" / "be1.pcap"], [samples / "closed-port"]):
        done = run_cli("annotate", *arguments, "-w", "/dev/null")
        assert done.returncode == 2 and "--beside" in done.stderr
    done = run_cli("annotate", *case, "-w", case[0])
    assert done.returncode == 2 and "is one of the inputs" in done.stderr


def test_dissect_may_be_read_in_part(case: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = f"({sys.executable} -m flowscope dissect {shlex.join(case)} --finding F1; echo $? >&2) | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, env=environment)
    assert done.stdout.startswith("Frame ")
    assert done.stderr.splitlines()[-1] == "0"
    assert "tshark" not in done.stderr
