"""The main job from the outside: bad input is one line and the contract's exit code, and never a traceback."""

from __future__ import annotations

import functools
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from tests.capture_bytes import handshake, pcap
from tests.conftest import ROOT, RunCli
from tests.report.test_json import SCHEMA

pytestmark = pytest.mark.usefixtures("core")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "vm1.pcap"
    path.write_bytes(pcap(handshake()))
    return path


def test_a_good_capture(run_cli: RunCli, good: Path) -> None:
    done = run_cli("analyze", good)
    assert done.returncode == 0
    assert "1 capture, 1 point, 3 frames, 1 TCP flow, 1 path" in done.stdout
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.pcap", None, "no such file or directory"),
        ("empty.pcap", b"", "an empty file"),
        ("notes.pcap", b"dear diary\n" * 20, "a text file, no capture"),
        ("noise.pcap", bytes(range(256)) * 9, "no capture that flowscope reads"),
    ],
)
def test_what_is_no_capture_is_one_line_and_2(
    run_cli: RunCli, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = run_cli("analyze", path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"flowscope: {path}: {said}")
    assert done.stderr.count("\n") == 1


def test_a_directory_without_captures(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    done = run_cli("analyze", tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"flowscope: {tmp_path}: a directory without captures (1 other file)\n"


def test_a_bad_file_beside_a_good_one(run_cli: RunCli, good: Path) -> None:
    bad = good.parent / "notes.txt"
    bad.write_text("hello")
    done = run_cli("analyze", bad, good, "--format", "json")
    assert done.returncode == 0
    assert done.stderr.startswith(f"flowscope: {bad}: a text file")
    assert done.stderr.count("\n") == 1
    report = json.loads(done.stdout)
    jsonschema.validate(report, SCHEMA)
    assert [capture["format"] for capture in report["captures"]] == [None, "pcap"]
    assert report["captures"][0]["issues"][0]["kind"] == "not-a-capture"


def test_a_capture_cut_mid_record(run_cli: RunCli, good: Path) -> None:
    good.write_bytes(good.read_bytes()[:-5])
    done = run_cli("analyze", good)
    assert done.returncode == 0
    assert "truncated-tail" in done.stdout
    assert "2 frames" in done.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[[fronted]]\n", "fronted: unknown key; did you mean 'frontend'?"),
        ('[[frontend]]\naddress = "10.0.0.256"\nport = 80\n', "frontend[0].address: expected an address"),
        ("[[frontend]\n", "not valid TOML"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_topology_is_one_line_and_2(run_cli: RunCli, good: Path, content: str | None, said: str) -> None:
    topology = good.parent / "lb.toml"
    if content is not None:
        topology.write_text(content)
    done = run_cli("analyze", good, "--topology", topology)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"flowscope: {topology}: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_rule_is_one_line_and_2(run_cli: RunCli, good: Path) -> None:
    done = run_cli("analyze", good, "--select", "closed-prot")
    assert done.returncode == 2
    assert "there is no rule 'closed-prot': did you mean 'closed-port'?" in done.stderr


def test_standard_input(run_cli: RunCli, good: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pipe:
        assert pipe.stdin is not None
        pipe.stdin.write(gzip.compress(good.read_bytes()))
        pipe.stdin.close()
        done = run_cli("analyze", "-", "--format", "json", stdin=pipe.stdout)
    report = json.loads(done.stdout)
    assert report["captures"][0]["path"] == "-"
    assert report["points"][0]["name"] == "stdin"
    assert len(report["flows"]) == 1


def test_only_a_part(run_cli: RunCli, good: Path) -> None:
    assert "2 frames" in run_cli("analyze", good, "-c", "2").stdout
    done = run_cli("flows", good, "--from", "2026-01-01T00:00:00.000001Z", "--format", "json")
    (flow,) = json.loads(done.stdout)["flows"]
    assert flow["first_frame"] == 2


def test_output_goes_to_a_file_and_never_over_a_capture(run_cli: RunCli, good: Path) -> None:
    report = good.parent / "report.json"
    done = run_cli("analyze", good, "--format", "json", "-o", report, "--hash")
    assert (done.returncode, done.stdout) == (0, "")
    content = json.loads(report.read_text())
    jsonschema.validate(content, SCHEMA)
    assert len(content["captures"][0]["sha256"]) == 64
    before = good.read_bytes()
    for argument in (good, good.parent):
        done = run_cli("analyze", argument, "-o", good)
        assert done.returncode == 2
        assert "is one of the inputs" in done.stderr
        assert good.read_bytes() == before


@pytest.mark.parametrize("command", ["flows", "paths"])
@pytest.mark.parametrize("format", ["text", "csv", "jsonl", "json", "parquet"])
def test_tables(run_cli: RunCli, good: Path, command: str, format: str) -> None:
    done = run_cli(command, good, "--format", format, text=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("format", ["graphml", "dot", "json"])
def test_graphs(run_cli: RunCli, good: Path, format: str) -> None:
    done = run_cli("graph", good, "--format", format)
    assert done.returncode == 0, done.stderr
    assert "10.0.0.4" in done.stdout


def test_rules_and_pages(run_cli: RunCli) -> None:
    rules = json.loads(run_cli("rules", "--format", "json").stdout)
    jsonschema.validate(rules, SCHEMA)
    assert {"closed-port", "blocked-traffic", "hairpin-mismatch", "truncated-packets"} <= {
        rule["name"] for rule in rules["rules"]
    }
    for rule in rules["rules"]:
        assert rule["summary"]
        page = run_cli("explain", rule["name"]).stdout
        for heading in ("What it flags", "Why it matters", "Evidence", "Look-alikes", "Check next", "References"):
            assert f"\n{heading}\n" in page, (rule["name"], heading)
    assert run_cli("explain", "hairpin").returncode == 2


def test_a_reader_that_stops_early(good: Path) -> None:
    command = f"{sys.executable} -m flowscope flows {good} --format csv | head -c 3; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.stdout, done.stderr) == ("id,0\n", "")


def test_interrupted(good: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "flowscope", "analyze", str(fifo)]
    # Whoever runs the tests in the background may have told them to ignore SIGINT.
    default = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, preexec_fn=default)
    with running, open(fifo, "wb") as writer:
        writer.write(good.read_bytes())
        writer.flush()
        time.sleep(1)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert errors.strip() == "flowscope: interrupted"


def test_without_the_core_it_says_what_to_do(run_cli: RunCli, good: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['flowscope._core'] = None\n")
    done = run_cli("analyze", good, env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
    assert done.returncode == 2
    assert "make build" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_name_for_no_capture_is_told(run_cli: RunCli, tmp_path: Path) -> None:
    capture = ROOT / "captures" / "hairpin" / "be1.pcap"
    done = run_cli("analyze", capture, "--point", "be2.pcap=vm2", "--point", "be1.pcap=vm1", "--brief")
    assert done.stderr.startswith("flowscope: --point be2.pcap=vm2: no capture has this name")
    assert done.stderr.count("\n") == 1
    evidence = tmp_path / "F1.pcapng"
    run_cli("extract", capture, "--finding", "F1", "-w", evidence)
    assert run_cli("analyze", evidence, "--point", "be1.pcap=vm1", "--brief").stderr == ""
