"""Files beside the captures on the command line: one line when wrong, listed when right."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.capture_bytes import handshake, pcap
from tests.cloud.rule_files import deny, nsg
from tests.conftest import RunCli
from tests.report.test_json import SCHEMA

pytestmark = pytest.mark.usefixtures("core")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "vm1.pcap"
    path.write_bytes(pcap(handshake()))
    return path


def test_a_wrong_file_is_one_line_and_exit_code_2(run_cli: RunCli, good: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    for option, content in (("--nsg", '{"records": [{"flowTuples": []}]}'), ("--flow-log", "[]"), ("--nsg", "{")):
        wrong.write_text(content)
        done = run_cli("analyze", good, option, wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"flowscope: {wrong}: ") and done.stderr.count("\n") == 1
    assert "no such file" in run_cli("analyze", good, "--nsg", tmp_path / "none").stderr


def test_the_report_lists_what_was_given(run_cli: RunCli, good: Path, tmp_path: Path) -> None:
    file = nsg(tmp_path / "g.json", deny("all", 100, "*"))
    document = json.loads(run_cli("analyze", good, "--nsg", f"{file}=192.0.2.99", "--format", "json").stdout)
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    (given,) = document["given"]
    assert (given["option"], given["path"], given["read"]["rules"], given["used"]) == ("nsg", file, 7, [])
    text = run_cli("analyze", good, "--nsg", f"{file}=192.0.2.99").stdout
    assert f"nsg {file}" in " ".join(text.split()) and "nothing of it was used" in text


def test_an_output_that_is_a_given_file_is_refused(run_cli: RunCli, good: Path, tmp_path: Path) -> None:
    file = nsg(tmp_path / "g.json", deny("all", 100, "*"))
    done = run_cli("analyze", good, "--nsg", f"{file}=192.0.2.99", "-o", file)
    assert done.returncode == 2 and "is one of the inputs" in done.stderr
