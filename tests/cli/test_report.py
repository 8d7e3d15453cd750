"""``flowscope report``, ``verify`` and ``extract`` as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, RunCli

pytestmark = pytest.mark.usefixtures("core")


@pytest.fixture(scope="module")
def case(samples: Path) -> list[str]:
    return [str(samples / "closed-port"), "--topology", str(samples / "closed-port" / "topology.toml")]


def test_report_then_verify_then_tamper(run_cli: RunCli, case: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "incident"
    done = run_cli("report", *case, "-o", folder)
    assert done.returncode == 0 and "1 finding; SHA-256 of manifest.json" in done.stderr
    assert run_cli("verify", folder).stdout == f"{folder}: as written\n"
    data = bytearray((folder / "report.html").read_bytes())
    data[100] ^= 1
    (folder / "report.html").write_bytes(data)
    told = run_cli("verify", folder)
    assert told.returncode == 1 and told.stdout.startswith("report.html: changed: SHA-256")
    (folder / "manifest.json").unlink()
    gone = run_cli("verify", folder)
    assert gone.returncode == 2 and "no manifest.json" in gone.stderr


def test_report_exits_as_asked(run_cli: RunCli, case: list[str], tmp_path: Path) -> None:
    assert run_cli("report", "-q", *case, "-o", tmp_path / "out", "--fail-on", "error").returncode == 1
    assert run_cli("verify", "-q", tmp_path / "out").returncode == 0


def test_report_from_a_pipe(samples: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flowscope", "report", "-", "--point", "-=be2", "-o", str(tmp_path / "out")]
    with open(samples / "closed-port" / "be2.pcap", "rb") as pipe:
        done = subprocess.run(["cat"], stdin=pipe, capture_output=True, check=True)
    told = subprocess.run(command, input=done.stdout, capture_output=True, cwd=ROOT, check=True)
    assert b"1 finding" in told.stderr
    points = json.loads((tmp_path / "out" / "report.json").read_text())["points"]
    assert [point["name"] for point in points] == ["be2"]


def test_extract_to_stdout(run_cli: RunCli, case: list[str], tshark: str, tmp_path: Path) -> None:
    paths = json.loads(run_cli("paths", *case, "--format", "json").stdout)["paths"]
    flows = {flow for leg in paths[3]["legs"] for flow in leg["flows"]}
    listed = json.loads(run_cli("flows", *case, "--format", "json").stdout)["flows"]
    packets = sum(one[half]["packets"] for one in listed if one["id"] in flows for half in ("fwd", "rev"))
    done = run_cli("extract", "-q", *case, "--path", "3", "-w", "-", text=False)
    target = tmp_path / "path.pcapng"
    target.write_bytes(done.stdout)
    told = subprocess.run([tshark, "-r", str(target)], capture_output=True, text=True, check=True).stdout
    assert len(told.splitlines()) == packets


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--finding", "F9"], "there is no finding F9: there is F1"),
        (["--flow", "99999"], "there is no flow 99999: there is 0 to"),
        (["--path", "99999"], "there is no path 99999: there is 0 to"),
        (["--path", "1", "--flow", "1"], "one of --finding, --flow and --path"),
    ],
)
def test_ids_that_do_not_exist(
    run_cli: RunCli, case: list[str], tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = run_cli("extract", *case, *arguments, "-w", tmp_path / "x.pcapng")
    assert done.returncode == 2 and said in done.stderr
    assert not list(tmp_path.iterdir())


def test_nothing_overwrites_an_input(run_cli: RunCli, samples: Path, tmp_path: Path) -> None:
    capture = tmp_path / "be2.pcap"
    capture.write_bytes((samples / "closed-port" / "be2.pcap").read_bytes())
    (tmp_path / "link.pcap").symlink_to(capture)
    for target in (capture, tmp_path / "link.pcap"):
        done = run_cli("extract", capture, "-w", target)
        assert done.returncode == 2 and "is one of the inputs" in done.stderr and "give -w" in done.stderr
    assert run_cli("report", capture, "-o", tmp_path).returncode == 2
    assert capture.read_bytes() == (samples / "closed-port" / "be2.pcap").read_bytes()
